"""A leaderboard as markdown, for READMEs and pull requests. No JAX here."""

from collections.abc import Iterable

from bench.analysis.leaderboard import Leaderboard
from bench.machine.printing import printable
from bench.report.overview import overview_tables
from bench.report.text import COVERAGE, LEGEND, Table, aggregate_tables, task_tables

ACROSS = 8  # tasks side by side
RULES = {"left": "---", "right": "---:"}  # what aligns a column


def markdown(leaderboard: Leaderboard) -> str:
    """Write every method on every task, the aggregates, a table for each task, the legend and the notes.

    Names from plug-ins are escaped.
    """
    tables = (*overview_tables(leaderboard, ACROSS), *aggregate_tables(leaderboard), *task_tables(leaderboard))
    written = "\n".join(map(_table, tables))
    notes = "".join(f"- {_escape(note)}\n" for note in leaderboard.notes)
    return f"{written}\n{LEGEND} {COVERAGE}\n" + (f"\n{notes}" if notes else "")


def _table(table: Table) -> str:
    lines = [table.headings, [RULES[column.align] for column in table.columns], *table.rows]
    return f"### {_escape(table.title)}\n\n" + "".join(map(_line, lines))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_escape, cells))} |\n"


def _escape(text: str) -> str:
    text = printable(text)
    for special in "\\|<*`&#":
        text = text.replace(special, f"\\{special}")
    return text.replace("](", "]\\(").replace("\n", "<br>")
