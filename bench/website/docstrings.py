"""Docstrings as markdown: paragraphs and lists stay, and what is indented, a formula, is typeset."""

import re
import textwrap
from html import escape

from bench.website.formulas import mathml

ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
INDENT = "    "


def to_markdown(docstring: str) -> str:
    """Write a docstring as markdown."""
    return "\n\n".join(_block(block) for block in _blocks(docstring))


def title_of(docstring: str) -> str:
    """The first words of a docstring, which name its subject: up to the first colon, bracket or full stop."""
    return re.split(r"[:(.]", " ".join(docstring.split()), maxsplit=1)[0].strip()


def paragraph(docstring: str, start: str) -> str:
    """The paragraph that begins with these words, as one line; "" where there is none."""
    found = (block for block in _blocks(docstring) if block.startswith(start))
    return " ".join(next(found, "").split())


def without(docstring: str, *starts: str) -> str:
    """The docstring without the paragraphs that begin with any of these words."""
    return "\n\n".join(block for block in _blocks(docstring) if not block.startswith(starts))


def formula(lines: str) -> str:
    """Typeset the lines of a formula as one block of HTML; each line as it was written is its label for the ear."""
    rows = "".join(f"<div>{mathml(line)}</div>" for line in lines.splitlines() if line.strip())
    label = escape(" ".join(lines.split()), quote=True)
    return f'<div class="formula" tabindex="0" role="group" aria-label="{label}">{rows}</div>'


def arguments_as_list(docstring: str) -> str:
    """The parts "Args:" and "name: meaning" of a docstring as a list, for markdown."""
    text = re.sub(r"^(Args|Returns|Raises):\n", r"**\1**\n\n", docstring, flags=re.MULTILINE)
    lines = []
    for line in text.splitlines():
        entry = re.match(r"^ {0,4}([\w*.`, ]{1,60}): (\S.*)$", line)
        names = entry[1].split(", ") if entry else []
        if entry and all(re.fullmatch(r"[`\w*.]+", name.strip()) for name in names):
            lines.append(f"- **{escape_names(entry[1].strip())}**: {entry[2]}")
        else:
            lines.append(
                "  " + line.strip() if lines and lines[-1].startswith(("- **", "  ")) and line[:1] == " " else line
            )
    return "\n".join(lines)


def escape_names(text: str) -> str:
    """Escape what markdown takes for emphasis in names such as *_low."""
    return text.replace("`", "").replace("*", r"\*").replace("_", r"\_")


def _blocks(docstring: str) -> list[str]:
    """Paragraphs, each without the blank lines around it; an indented one keeps its indentation.

    The docstring is that of a module, or one that `inspect` has cleaned.
    """
    return [block.strip("\n") for block in re.split(r"\n[ \t]*\n", docstring) if block.strip()]


def _block(block: str) -> str:
    if all(line.startswith(INDENT) for line in block.splitlines()):
        return f"```{{raw}} html\n{formula(textwrap.dedent(block))}\n```"
    return ARXIV.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", block.replace("<", r"\<"))
