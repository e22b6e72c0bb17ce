"""A leaderboard, and other tables, in the terminal."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from bench.leaderboard import Leaderboard
from bench.report.display import LEGEND, Table, aggregate_tables, task_tables


def console() -> Console:
    """The terminal; wide enough for a table where the output is a file or a log."""
    found = Console()
    return found if found.is_terminal else Console(width=120)


def show(table: Table) -> None:
    """Print one table; short columns after the first are aligned to the right and kept whole, long ones are folded."""
    shown = RichTable(title=escape(table.title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for i, name in enumerate(table.head):
        short = all(len(row[i]) <= 24 for row in table.rows)
        shown.add_column(name, justify="right" if i and short else "left", no_wrap=short, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(escape, row))
    console().print(shown)


def show_leaderboard(leaderboard: Leaderboard) -> None:
    """Print the table of each task, then the aggregate of each suite, then the notes: what matters most comes last."""
    for table in (*task_tables(leaderboard), *aggregate_tables(leaderboard)):
        show(table)
    for text in (LEGEND, *(f"Note: {note}" for note in leaderboard.notes)):
        console().print(escape(text), highlight=False)
