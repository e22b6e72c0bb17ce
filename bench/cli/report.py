"""`bench report`: records -> leaderboards."""

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.terminal.comparison import write_comparison
from bench.cli.terminal.leaderboards import installed_formats, write_leaderboards
from bench.cli.terminal.lines import echo_error
from bench.cli.terminal.options import RecordsFolder
from bench.machine import garbage_collection


class Format(enum.StrEnum):
    """The keys of `bench.report.FORMATS`; a test compares them."""

    csv = "csv"
    markdown = "markdown"
    json = "json"
    latex = "latex"
    html = "html"


def command(
    folder: RecordsFolder,
    other: Annotated[
        Path | None, typer.Argument(help="A second folder: compare the two side by side, cell by cell.")
    ] = None,
    formats: Annotated[
        list[Format] | None, typer.Option("--format", help="Write only these; all of them by default.")
    ] = None,
) -> None:
    """Rebuild the leaderboards of a folder from its records, and print them.

    With a second folder, show both side by side and write comparison.csv, .md and .json into the first.

    Exit status: 0, or 1 where they are printed and cannot be written.
    """
    with garbage_collection.paused():
        if other:
            unwritten = write_comparison(folder, other, formats)
        else:
            unwritten = write_leaderboards(folder, formats or installed_formats())
    if unwritten:
        echo_error(f"bench: {unwritten}")
        sys.exit(1)
