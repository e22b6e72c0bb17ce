"""`bench report`: records -> leaderboards."""

import enum
import sys
from typing import Annotated

import typer

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
    formats: Annotated[
        list[Format] | None, typer.Option("--format", help="Write only these; all of them by default.")
    ] = None,
) -> None:
    """Rebuild the leaderboards of a folder from its records, and print them.

    Exit status: 0, or 1 where they are printed and cannot be written.
    """
    with garbage_collection.paused():
        unwritten = write_leaderboards(folder, formats or installed_formats())
    if unwritten:
        echo_error(f"bench: {unwritten}")
        sys.exit(1)
