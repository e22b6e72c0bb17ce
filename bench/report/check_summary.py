"""The verdicts of the regression gate as markdown, for the page of a GitHub step. No JAX here."""

from pathlib import Path

from bench.gate.regression import Check
from bench.gate.summary import failures
from bench.machine.printing import shortened
from bench.report.markdown import escaped, table_markdown
from bench.report.text import Table

MAX_REASON = 2000  # characters of a reason that are shown; GitHub shows a page of at most 1 MiB


def check_markdown(check: Check, outcome: str, verdicts: Table) -> str:
    """Write a check: its outcome, what fails besides the verdicts, the verdicts, notes, and what was not compared.

    Names and reasons are escaped: each stands within a line of a list or a cell.
    """
    not_compared = ((f"{key.method} on {key.grid} of {key.suite}", why) for key, why in check.not_compared)
    items = [
        *(f"FAILS: {name}: {why}" for name, why in failures(check)),
        *(f"Not compared: {name}: {why}" for name, why in not_compared),
        *(f"Note: {note}" for note in check.notes),
    ]
    listed = "".join(f"- {escaped(shortened(item.strip(), MAX_REASON))}\n" for item in items)
    return f"## bench check: {escaped(outcome)}\n\n{listed}\n{table_markdown(verdicts)}\n"


def append_to_page(page: Path, text: str) -> None:
    """Add a text to the page of a step, which all commands of the step share. Raises OSError."""
    with page.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
