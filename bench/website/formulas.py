"""Formulas as the files of tasks and methods write them, in plain text -> MathML, which browsers typeset themselves."""

import re
from collections.abc import Iterator
from html import escape
from typing import NamedTuple

FUNCTIONS = frozenset(
    ("cos", "sin", "tan", "exp", "ln", "log", "max", "min", "mean", "clip", "tanh", "sg", "wrap", "gelu", "det", "rank")
)
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₖₗₘₙₚₜᵢⱼₓₐₑ", "0123456789+-klmnptijxae", strict=True))
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ᵀⁿᵏᵗˣⁱᴸ", "0123456789+-TnktxiL", strict=True))
SIGNS = {"<=": "≤", ">=": "≥", "<-": "←", "->": "→", "-": "−", "Σ": "∑"}
BRACKETS = {"(": ")", "[": "]", "{": "}"}
GAP = "<mspace width='0.2em'/>"

TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z]{2,}(?:_[A-Za-z]{2,})*)"
    rf"|(?P<sub>[{''.join(SUBSCRIPTS)}]+)|(?P<sup>[{''.join(SUPERSCRIPTS)}]+)"
    r"|(?P<letter>[^\W\d_][\u0300-\u036f]*)|(?P<sign><=|>=|<-|->|.)"
)


class Token(NamedTuple):
    """A part of a formula: what it is, its characters, and whether a space stands before it."""

    kind: str
    text: str
    spaced: bool


def mathml(line: str) -> str:
    """Typeset a line. Parts that two or more spaces set apart stay apart, and wrap on a narrow screen."""
    plain = re.sub(r"^(min|max)\s+", r"\1 ", line.replace("`", "").strip())
    parts = [part for part in re.split(r"\s{2,}", plain) if part]
    return " ".join(f'<math display="inline"><mrow>{_row(_tokens(part))}</mrow></math>' for part in parts)


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    spaced = False
    for found in TOKEN.finditer(text):
        kind = str(found.lastgroup)
        if kind == "space":
            spaced = True
        else:
            tokens.append(Token(kind, found[0], spaced))
            spaced = False
    return tokens


def _row(tokens: list[Token]) -> str:
    return "".join(_nodes(tokens))


def _nodes(tokens: list[Token]) -> Iterator[str]:
    """Nodes from left to right; a factor after a factor is set apart by a small gap."""
    i, after_factor = 0, False
    while i < len(tokens):
        token = tokens[i]
        is_factor = token.kind in ("number", "word", "letter") or token.text in ("√", "∇", "(")
        if token.spaced and is_factor and after_factor:
            yield GAP
        base, i = _base(tokens, i)
        below, above, i = _scripts(tokens, i)
        yield _scripted(base, below, above)
        after_factor = token.kind in ("number", "word", "letter") or token.text in (")", "]", "√", "|")


def _base(tokens: list[Token], i: int) -> tuple[str, int]:
    """The node of the token at i, and the place of what follows it."""
    kind, text, _ = tokens[i]
    if text == "√":
        inside, after = _group(tokens, i + 1)
        return f"<msqrt>{_row(inside)}</msqrt>", after
    if kind == "number":
        return f"<mn>{text}</mn>", i + 1
    if kind == "word":
        if text in FUNCTIONS:
            return f"<mi>{text}</mi><mo>&#8289;</mo>", i + 1
        words = [text]
        while i + 1 < len(tokens) and tokens[i + 1].kind == "word" and tokens[i + 1].text not in FUNCTIONS:
            i += 1
            words.append(tokens[i].text)
        return f"<mtext>{' '.join(words)}</mtext>", i + 1
    if kind == "letter" and text != "Σ":
        return f"<mi>{text}</mi>", i + 1
    if kind in ("sub", "sup"):
        return "<mrow></mrow>", i
    return f"<mo>{escape(SIGNS.get(text, text))}</mo>", i + 1


def _scripts(tokens: list[Token], i: int) -> tuple[str, str, int]:
    """What stands below and above the base that ends before i."""
    below = above = ""
    while i < len(tokens) and not tokens[i].spaced:
        kind, text, _ = tokens[i]
        ends = i + 1 == len(tokens) or tokens[i + 1].spaced or tokens[i + 1].text in ")],;|"
        if kind == "sub":
            below += _plain(text, SUBSCRIPTS)
        elif kind == "sup":
            above += _plain(text, SUPERSCRIPTS)
        elif text == "'":
            above += "<mo>′</mo>"
        elif text == "*" and ends:
            above += "<mo>*</mo>"
        elif text in ("_", "^") and i + 1 < len(tokens):
            inside, i = _group(tokens, i + 1)
            below, above = (below + _row(inside), above) if text == "_" else (below, above + _row(inside))
            continue
        else:
            break
        i += 1
    return below, above, i


def _group(tokens: list[Token], i: int) -> tuple[list[Token], int]:
    """The tokens of the bracket that opens at i, without it, or the one token at i; and the place after them."""
    if i >= len(tokens) or tokens[i].text not in BRACKETS:
        return tokens[i : i + 1], i + 1
    depth = 0
    for end in range(i, len(tokens)):
        depth += (tokens[end].text in BRACKETS) - (tokens[end].text in BRACKETS.values())
        if depth == 0:
            return tokens[i + 1 : end], end + 1
    return tokens[i + 1 :], len(tokens)


def _plain(text: str, of: dict[str, str]) -> str:
    plain = "".join(of[character] for character in text)
    return _row(_tokens(plain))


def _scripted(base: str, below: str, above: str) -> str:
    base, below, above = (f"<mrow>{part}</mrow>" if part else "" for part in (base, below, above))
    if below and above:
        return f"<msubsup>{base}{below}{above}</msubsup>"
    if below:
        return f"<msub>{base}{below}</msub>"
    return f"<msup>{base}{above}</msup>" if above else base[6:-7]
