"""A leaderboard as markdown, for READMEs and pull requests. No JAX here."""

import re
from collections.abc import Iterable

from bench.analysis.leaderboard import Leaderboard
from bench.machine.printing import printable
from bench.report.overview import overview_tables
from bench.report.text import COVERAGE, LEGEND, Table, aggregate_tables, task_tables

ACROSS = 8  # tasks side by side
RULES = {"left": "---", "right": "---:"}  # what aligns a column
EMPHASIS = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # underscores at the ends of words; within, they are text


def markdown(leaderboard: Leaderboard) -> str:
    """Write every method on every task, the aggregates, a table for each task, the legend and the notes.

    Names from plug-ins are escaped.
    """
    tables = (*overview_tables(leaderboard, ACROSS), *aggregate_tables(leaderboard), *task_tables(leaderboard))
    written = "\n".join(map(table_markdown, tables))
    notes = "".join(f"- {escaped(note)}\n" for note in leaderboard.notes)
    return f"{written}\n{LEGEND} {COVERAGE}\n" + (f"\n{notes}" if notes else "")


def table_markdown(table: Table) -> str:
    """Write one table below its title."""
    lines = [table.headings, [RULES[column.align] for column in table.columns], *table.rows]
    return f"### {escaped(table.title)}\n\n" + "".join(map(_line, lines))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |\n"


def escaped(text: str) -> str:
    """Escape what markdown or HTML would read as more than text; a line within a cell stays a line."""
    text = printable(text)
    for special in "\\|<*`&#~":
        text = text.replace(special, f"\\{special}")
    text = EMPHASIS.sub(r"\\_", text)
    return text.replace("](", "]\\(").replace("\n", "<br>")
