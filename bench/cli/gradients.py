"""`bench gradients`: how good the policy gradients are that world models give."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bench import registry
from bench.budget import Allowance
from bench.cli.terminal import diagnostics
from bench.cli.terminal.options import Models, PartsAtOnce, Quiet, Tasks, parse_whole_numbers
from bench.errors import UsageError
from bench.gradients.measure import Request
from bench.gradients.runner import Runner
from bench.gradients.snapshots import read_snapshot, snapshot_path
from bench.suite import Cell

SUITE = "gradients"


@dataclass(frozen=True)
class Wanted:
    """The measurements at each policy: models, horizons of gradients, numbers of updates in a fit, and the data."""

    models: tuple[str, ...]
    horizons: tuple[int, ...]
    updates: tuple[int, ...]
    offline: bool

    def at(self, snapshot: Path, policy: str) -> Request:
        """Ask for it at a snapshot."""
        return Request(SUITE, snapshot, policy, self.models, self.horizons, self.updates, self.offline)

    def check_horizons(self, steps: int, task: str) -> None:
        """Raise UsageError if a horizon is longer than the task."""
        if self.horizons[-1] > steps:
            raise UsageError(
                f"a horizon of {self.horizons[-1]} steps is longer than {task}, which has {steps}. Use --horizons."
            )


def command(
    tasks: Tasks = None,
    models: Models = None,
    horizons: Annotated[str | None, typer.Option(help="Steps, e.g. 5,10,20; at most the task's.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="A snapshot, from the folder snapshots of an earlier command, in place of runs.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="The method that trains the policy and collects the episodes.")] = None,
    updates: Annotated[
        str | None, typer.Option(help="Optimiser steps given to each model; several lengths with commas.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fit models to fixed data: first control random, the rest in mid-range.")
    ] = False,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds 0 to N-1.")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Episodes of the training runs.")] = None,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("results/gradients"),
    workers: PartsAtOnce = None,
    quiet: Quiet = False,
) -> None:
    """Measure policy gradients through models fitted to the same episodes, against the simulator's, over horizons.

    Per model and horizon: norm and its growth, cosine and norm ratio to the true gradient, signal-to-noise, non-finite
    values, and for models that read their predictions the share of the gradient that flows through them.
    """
    defaults = diagnostics.read_defaults("gradients")
    wanted = Wanted(
        models=tuple(models or defaults["models"]),
        horizons=parse_whole_numbers(horizons, "horizons") if horizons else tuple(defaults["horizons"]),
        updates=parse_whole_numbers(updates, "updates") if updates else tuple(defaults["updates"]),
        offline=offline,
    )
    method = by or defaults["by"]
    with diagnostics.open_runner(out, workers, quiet) as runner:
        diagnostics.check_models([*wanted.models, method])
        if policy:
            if tasks or by or seeds or episodes:
                raise UsageError("--policy has its task, method and seed: leave out --task, --by, --seeds, --episodes.")
            requests = [_at_snapshot(policy, wanted)]
        else:
            budget = Allowance(episodes=episodes or defaults["episodes"], evals=10)
            block = tuple(range(seeds or defaults["seeds"]))
            cells = [Cell(SUITE, task, method, block, budget) for task in tasks or defaults["tasks"]]
            requests = _at_runs(runner, cells, defaults["policies"], wanted)
        runner.compute(requests)
    diagnostics.write_measurements(runner)
    diagnostics.exit_unless_complete(runner)


def _at_snapshot(file: Path, wanted: Wanted) -> Request:
    found = read_snapshot(file)
    wanted.check_horizons(found.task.num_steps, found.task_name)
    return wanted.at(file, file.stem)


def _at_runs(runner: Runner, cells: Sequence[Cell], policies: Sequence[str], wanted: Wanted) -> list[Request]:
    """Train the cells, and ask for what is wanted at the snapshots that they leave."""
    for cell in cells:
        wanted.check_horizons(registry.task(cell.task).num_steps, cell.task)
    jobs = runner.train_with_snapshots(cells)
    paths = [(snapshot_path(job, policy), policy) for policy in policies for job in jobs]
    return [wanted.at(path, policy) for path, policy in paths if path.exists()]
