"""A leaderboard, and other tables, in the terminal."""

import re
from dataclasses import replace

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from bench.analysis.leaderboard import Leaderboard
from bench.machine.printing import inert
from bench.report.overview import overview_tables
from bench.report.text import COVERAGE, LEGEND, Table, aggregate_tables, task_tables

ACROSS = 4  # tasks side by side
GAP = 2  # between columns
SHORT = 28  # a column that is no wider is not folded
BREAK = 18  # names longer than this are broken where room is scarce


def console() -> Console:
    """The terminal; wide enough for a table where the output is a file or a log."""
    found = Console()
    return found if found.is_terminal else Console(width=120)


def print_table(table: Table) -> None:
    """Print one table; short columns are kept whole, long ones are folded."""
    drawn = RichTable(title=shown(table.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    drawn.padding = (0, GAP - 1, 0, 0)
    for i, column in enumerate(table.columns):
        short = all(len(line) <= SHORT for row in table.rows for line in row[i].splitlines())
        drawn.add_column(shown(column.heading), justify=column.align, no_wrap=short, overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(shown, row))
    console().print(drawn)


def shown(text: str) -> str:
    """A text as data in what a console draws; where it is folded, no line may begin with the colons of a CI command."""
    return escape(inert(text).replace("::", ": :"))


def fit(table: Table, width: int) -> Table:
    """Fit a table into a width in characters.

    First headings and long names are broken into lines, then the last columns are left out, but for the first three.
    """
    if _width(table) <= width:
        return table
    columns = tuple(replace(column, heading="\n".join(column.heading.rsplit(" ", 1))) for column in table.columns)
    narrow = Table(table.title, columns, [tuple(map(_broken, row)) for row in table.rows])
    kept = next((n for n in range(len(columns), 3, -1) if _width(_first(narrow, n)) <= width), 3)
    left_out = ", ".join(table.headings[kept:])
    title = f"{table.title} (no room for {left_out})" if left_out else table.title
    return replace(_first(narrow, kept), title=title)


def _first(table: Table, columns: int) -> Table:
    """The table with its first columns only."""
    return Table(table.title, table.columns[:columns], [row[:columns] for row in table.rows])


def _width(table: Table) -> int:
    columns = zip(table.headings, *table.rows, strict=True)
    return sum(GAP + max(len(line) for cell in column for line in cell.split("\n")) for column in columns) + GAP


def _broken(name: str) -> str:
    """A name in lines of at most BREAK characters, if its underscores allow that."""
    lines = [""]
    for part in re.findall("[^_]*_|[^_]+", name):
        if lines[-1] and len(lines[-1] + part) > BREAK:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def print_leaderboard(leaderboard: Leaderboard) -> None:
    """Print each task, then the aggregates, then every method on every task, then the notes.

    What matters most comes last, where a reader of a terminal is.
    """
    details, totals = task_tables(leaderboard), aggregate_tables(leaderboard)
    for table in (*details, *totals, *overview_tables(leaderboard, ACROSS)):
        print_table(fit(table, console().width))
    for text in (f"{LEGEND} {COVERAGE}", *(f"Note: {note}" for note in leaderboard.notes)):
        console().print(shown(text), highlight=False)
