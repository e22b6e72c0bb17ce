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
    trajectories = "trajectories"


def command(
    folder: Annotated[Path, typer.Argument(help="A folder with run records, e.g. results/smoke.")],
    kind: Annotated[Kind, typer.Option(help="What to draw.")] = Kind.curves,
    tasks: Annotated[list[str] | None, typer.Option("--task", help="Only this task; may be repeated.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write, .pdf, .svg or .png; DIR/KIND.pdf by default.")
    ] = None,
) -> None:
    """Draw learning curves, performance profiles, regret targets, scores over grids, or trajectories, as one figure.

    Trajectories are those of the run with the median cost of each method, beside the best known control sequence.
    """
    from bench.analysis.leaderboard import build
    from bench.cli.report import read_records
    from bench.errors import UsageError
    from bench.records.reference import References
    from bench.records.trajectory import trajectory_finder
    from bench.report import charts, plots

    records = read_records(folder)
    board = build(records, References.beside(folder).by_fingerprint(), find=trajectory_finder(folder))
    found = [chart for chart in charts.KINDS[kind](board) if not tasks or chart.place.get("task") in tasks]
    if not found:
        why = {
            Kind.horizon: "no task was run on several grids",
            Kind.trajectories: "no trajectories/ beside them; runs of this version keep theirs",
        }.get(kind, "no task has a reference and headroom")
        if tasks:
            why = f"nothing of {', '.join(tasks)}, or {why}"
        raise UsageError(f"the records in {folder} have nothing to draw as {kind.value}: {why}.")
    figure = plots.panels(found, charts.methods(board))
    file = out or folder / f"{kind.value}.pdf"
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:  # no such folder; no such format
        raise UsageError(f"cannot write {file}: {error}") from error
    typer.echo(file)
