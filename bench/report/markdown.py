"""Markdown for READMEs and pull requests: the aggregates, a table per task, and the notes."""

from collections.abc import Iterable

from bench.analysis.leaderboard import Leaderboard
from bench.report.text import LEGEND, Table, aggregate_tables, task_tables


def markdown(leaderboard: Leaderboard) -> str:
    """Aggregates first, then tasks; names from plug-ins are escaped."""
    tables = "\n".join(map(_table, (*aggregate_tables(leaderboard), *task_tables(leaderboard))))
    notes = "".join(f"- {_escape(note)}\n" for note in leaderboard.notes)
    return f"{tables}\n{LEGEND}\n" + (f"\n{notes}" if notes else "")


def _table(table: Table) -> str:
    lines = [table.head, ["---", *["---:"] * (len(table.head) - 1)], *table.rows]
    return f"### {_escape(table.title)}\n\n" + "".join(map(_line, lines))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(map(_escape, cells))} |\n"


def _escape(text: str) -> str:
    for special in "\\|<*`":
        text = text.replace(special, f"\\{special}")
    return text.replace("](", "]\\(")
