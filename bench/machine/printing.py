"""Text of others as data: nothing that a terminal, the log of a CI service or a spreadsheet obeys. No JAX."""

import re
from typing import Any

COMMAND = re.compile(r"^(\s*):(?=:)|#(?=#\[)", re.MULTILINE)  # of GitHub's workflows
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\n")


def printable(text: str) -> str:
    """Write control characters, invisible ones and halves of surrogate pairs as escapes; keep new lines and tabs."""
    kept = (c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)
    return "".join(kept)


def inert(text: str) -> str:
    """Return the printable text without lines that a CI service would obey."""
    return COMMAND.sub(lambda found: f"{found[0]} ", printable(text))


def shortened(text: str, limit: int) -> str:
    """Return a text of at most about `limit` characters: of a longer one its start and its end."""
    half = limit // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]} ... ({left_out} characters left out) ... {text[-half:]}" if left_out > 0 else text


def csv_cell(value: Any) -> Any:
    """Return a cell of a CSV file; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text
