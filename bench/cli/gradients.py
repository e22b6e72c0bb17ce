"""`bench gradients`: how good the policy gradients are that world models give."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.gradients.measure import Request
    from bench.gradients.runner import Runner


def command(
    tasks: Annotated[list[str] | None, typer.Option("--task", help="A task; may be repeated.")] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="A method whose world model is fitted; may be repeated.")
    ] = None,
    horizons: Annotated[str | None, typer.Option(help="Steps, e.g. 5,10,20; at most the task's.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="A snapshot, from the folder snapshots of an earlier command, in place of runs.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="The method that trains the policy and collects the episodes.")] = None,
    updates: Annotated[
        str | None, typer.Option(help="Optimiser steps given to each model; several lengths with commas.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds 0 to N-1.")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Episodes of the training runs.")] = None,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("results/gradients"),
    workers: Annotated[
        int | None, typer.Option(min=0, help="Parts at once, each in a process; by default as many as there are cores.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Measure policy gradients through models fitted to the same episodes, against the simulator's, over horizons.

    Per model and horizon: norm and its growth, cosine and norm ratio to the true gradient, signal-to-noise, non-finite
    values, and for models that read their predictions the share of the gradient that flows through them.
    """
    from bench.cli.terminal import diagnostics

    table = diagnostics.table("gradients")
    chosen = models or table["models"]
    with diagnostics.opened(out, workers, quiet) as work:
        from bench import registry

        diagnostics.check_models([*chosen, by or table["by"]])
        wanted = diagnostics.numbers(horizons, "horizons") if horizons else tuple(table["horizons"])
        lengths = diagnostics.numbers(updates, "updates") if updates else tuple(table["updates"])
        if policy:
            if tasks or by or seeds or episodes:
                raise UsageError("--policy has its task, method and seed: leave out --task, --by, --seeds, --episodes.")
            requests = _at_snapshot(policy, chosen, wanted, lengths)
        else:
            on = tasks or table["tasks"]
            for task in on:
                _within(wanted, registry.task(task).num_steps, task)
            requests = _at_runs(
                work,
                on,
                by or table["by"],
                (seeds or table["seeds"], episodes or table["episodes"]),
                table["policies"],
                (chosen, wanted, lengths),
            )
        work.compute(requests)
    diagnostics.write_measurements(work)
    diagnostics.finish(work)


def _within(horizons: tuple[int, ...], steps: int, task: str) -> None:
    if horizons[-1] > steps:
        raise UsageError(f"a horizon of {horizons[-1]} steps is longer than {task}, which has {steps}. Use --horizons.")


def _at_snapshot(
    policy: Path, models: list[str], horizons: tuple[int, ...], updates: tuple[int, ...]
) -> "list[Request]":
    from bench.gradients.measure import Request
    from bench.gradients.snapshots import read_snapshot

    found = read_snapshot(policy)
    _within(horizons, found.task.num_steps, found.task_name)
    return [Request("gradients", policy, policy.stem, tuple(models), horizons, updates)]


def _at_runs(
    work: "Runner",
    tasks: list[str],
    by: str,
    size: tuple[int, int],
    policies: list[str],
    what: tuple[list[str], tuple[int, ...], tuple[int, ...]],
) -> "list[Request]":
    from bench.budget import Allowance
    from bench.gradients import snapshots
    from bench.gradients.measure import Request
    from bench.suite import Cell

    (seeds, episodes), (models, horizons, updates) = size, what
    cells = [Cell("gradients", t, by, tuple(range(seeds)), Allowance(episodes=episodes, evals=10)) for t in tasks]
    jobs = work.train_and_keep(cells)
    paths = [(snapshots.snapshot_path(job, policy), policy) for policy in policies for job in jobs]
    return [
        Request("gradients", path, policy, tuple(models), horizons, updates) for path, policy in paths if path.exists()
    ]
