"""`bench report`: records -> leaderboards."""

import enum
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.machine import garbage_collection

if TYPE_CHECKING:
    from bench.records.run import RunRecord


class Format(enum.StrEnum):
    """The keys of `bench.report.FORMATS`; a test compares them."""

    csv = "csv"
    markdown = "markdown"
    json = "json"
    html = "html"


def command(
    folder: Annotated[Path, typer.Argument(help="A folder with run records, e.g. results/smoke.")],
    formats: Annotated[
        list[Format] | None, typer.Option("--format", help="Write only these; all of them by default.")
    ] = None,
) -> None:
    """Rebuild the leaderboards of a folder from its records, and print them."""
    # Before NumPy is loaded: on matrices of these sizes more threads mostly wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with garbage_collection.paused():
        write(folder, formats or everything())


def everything() -> list[Format]:
    """All formats whose packages are installed; says which is left out."""
    from importlib.util import find_spec

    if find_spec("jinja2"):
        return list(Format)
    typer.echo("No leaderboard.html: it needs pip install 'myriad-bench[report]'.", err=True)
    return [name for name in Format if name is not Format.html]


def write(folder: Path, formats: list[Format]) -> None:
    """Print the leaderboard of the records in `folder`, write it beside them in `formats`, and print the paths."""
    from bench.analysis.leaderboard import build
    from bench.claims.report import section
    from bench.cli.terminal.tables import print_leaderboard
    from bench.records import tuning
    from bench.records.files import write_atomically
    from bench.records.reference import References
    from bench.records.trajectory import trajectory_finder
    from bench.report import FORMATS

    records = read_records(folder)
    leaderboard = build(
        records,
        References.beside(folder).by_fingerprint(),
        tuning.known_tunings(folder),
        find=trajectory_finder(folder),
    )
    leaderboard = replace(leaderboard, diagnostics=section(folder))
    print_leaderboard(leaderboard)
    for name in formats:
        for file, render in FORMATS[name].items():
            write_atomically(folder / file, render(leaderboard))
            typer.echo(folder / file)


def read_records(folder: Path) -> "list[RunRecord]":
    """The records under `folder`, with a warning for each unreadable one. Raises UsageError if there are none."""
    from bench.errors import UsageError
    from bench.records.files import RecordError
    from bench.records.run import read_records

    if not folder.is_dir():
        raise UsageError(f"no folder {folder}. Give one that `bench run` wrote, e.g. results/smoke.")
    found = list(read_records(folder))
    for problem in (r for r in found if isinstance(r, RecordError)):
        typer.echo(f"warning: {problem}", err=True)
    records = [r for r in found if not isinstance(r, RecordError)]
    if not records:
        raise UsageError(f"no run records under {folder}. Give a folder that `bench run` wrote, e.g. results/smoke.")
    return records
