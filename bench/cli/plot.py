"""`bench plot`: figures for papers."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from bench.analysis.leaderboard import build
from bench.cli.terminal.figures import save_figure
from bench.cli.terminal.leaderboards import read_records, warn
from bench.cli.terminal.options import OnlyTasks, RecordsFolder
from bench.errors import UsageError
from bench.records.references import References
from bench.records.trajectory import trajectory_finder
from bench.report import charts, plots


class Kind(enum.StrEnum):
    """The keys of `bench.report.charts.KINDS`; a test compares them."""

    curves = "curves"
    quality = "quality"
    profiles = "profiles"
    targets = "targets"
    horizon = "horizon"
    trajectories = "trajectories"


NO_SCORES = "no task has a reference and headroom"
NOTHING_TO_DRAW = {
    Kind.horizon: "no task was run on several grids",
    Kind.trajectories: "no trajectories/ beside them; runs of this version keep theirs",
}


def command(
    folder: RecordsFolder,
    kind: Annotated[Kind, typer.Option(help="What to draw.")] = Kind.curves,
    tasks: OnlyTasks = None,
    out: Annotated[
        Path | None, typer.Option(help="The file to write, .pdf, .svg or .png; DIR/KIND.pdf by default.")
    ] = None,
) -> None:
    """Draw learning curves, performance profiles, regret targets, scores over grids, or trajectories, as one figure.

    Trajectories are those of the run with the median cost of each method, beside the best known control sequence.
    """
    records = read_records(folder)
    board = build(records, References.beside(folder).by_fingerprint(), find=trajectory_finder(folder, warn))
    chosen = [chart for chart in charts.KINDS[kind](board) if not tasks or chart.task in tasks]
    if not chosen:
        why = NOTHING_TO_DRAW.get(kind, NO_SCORES)
        if tasks:
            why = f"nothing of {', '.join(tasks)}, or {why}"
        raise UsageError(f"the records in {folder} have nothing to draw as {kind.value}: {why}.")
    save_figure(plots.panels(chosen, charts.methods(board)), out or folder / f"{kind.value}.pdf")
