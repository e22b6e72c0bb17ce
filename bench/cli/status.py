"""`bench status`: how far a sweep is, from its files alone."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.terminal.lines import echo, echo_error
from bench.cli.terminal.tables import print_table
from bench.errors import UsageError
from bench.records.files import RecordError
from bench.report.text import Table, number_column, text_column
from bench.sweep import status

COLUMNS = (
    text_column("task"),
    number_column("steps"),
    text_column("method"),
    number_column("seeds"),
    text_column("state"),
)


def command(
    folder: Annotated[Path, typer.Argument(help="A folder that `bench run` writes, e.g. results/paper.")],
) -> None:
    """Show how far every cell of a folder is; works on a sweep that runs, was interrupted, or is over."""
    try:
        states = status.cell_states(folder)
    except RecordError as error:
        raise UsageError(f"{error} The next `bench run` on this folder sets it aside.") from error
    if not states:
        raise UsageError(f"no {status.PLAN} in {folder}. Give a folder that `bench run` writes, e.g. results/smoke.")
    rows = [(s.cell.task, str(s.cell.num_steps), s.cell.method, str(len(s.cell.seeds)), s.description) for s in states]
    print_table(Table(str(folder), COLUMNS, rows))
    for line in (line for state in states for line in state.unreadable):
        echo_error(f"warning: {line}")
    done = sum(sum(s.counts.values()) for s in states)
    running = sum(s.holder is not None for s in states)
    echo(f"{done} of {sum(len(s.cell.seeds) for s in states)} runs done, {running} cells running")
