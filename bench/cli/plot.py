"""`bench plot`: figures for papers."""

import enum
from pathlib import Path
from typing import Annotated

import typer


class Kind(enum.StrEnum):
    """The keys of `bench.report.charts.KINDS`; a test compares them."""

    curves = "curves"
    profiles = "profiles"
    targets = "targets"
    horizon = "horizon"


def command(
    folder: Annotated[Path, typer.Argument(help="A folder with run records, e.g. results/smoke.")],
    kind: Annotated[Kind, typer.Option(help="What to draw.")] = Kind.curves,
    out: Annotated[
        Path | None, typer.Option(help="The file to write, .pdf, .svg or .png; DIR/KIND.pdf by default.")
    ] = None,
) -> None:
    """Draw learning curves, performance profiles, regret targets, or scores over grids, as one figure."""
    from bench import reference
    from bench.cli.report import read_records
    from bench.errors import UsageError
    from bench.leaderboard import build
    from bench.report import charts, plots

    records = read_records(folder)
    reference.add_source(folder / "references.toml")
    board = build(records, reference.known())
    found = list(charts.KINDS[kind](board))
    if not found:
        why = "no task was run on several grids" if kind == Kind.horizon else "no task has a reference and headroom"
        raise UsageError(f"the records in {folder} have nothing to draw as {kind.value}: {why}.")
    figure = plots.panels(found, charts.methods(board))
    file = out or folder / f"{kind.value}.pdf"
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:  # no such folder; no such format
        raise UsageError(f"cannot write {file}: {error}") from error
    typer.echo(file)
