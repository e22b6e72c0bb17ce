"""`bench tune`: search for a method's best setting on tasks that are not scored."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.machine import threads

if TYPE_CHECKING:
    from bench.sweep.job import Job


def command(
    method: Annotated[str, typer.Argument(help="A method: its name, or module:attr.")],
    suite: Annotated[str, typer.Option(help="The suite whose tuning_tasks and budget are used.")] = "paper",
    trials: Annotated[int, typer.Option(min=1, help="Settings to try, the defaults included.")] = 20,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of a setting on each task.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Output folder; results/tune-SUITE by default.")] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Also write the result into this file, e.g. baselines/tuned.toml, or beside your records."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once, each in a process of its own.")] = None,
) -> None:
    """Try settings of a method within its search space, on the tuning tasks of a suite.

    The first trial is the method's defaults. A search that was interrupted goes on where it was, and one that has ended
    with fewer trials is continued. Write the best setting into the method's file to have it run.

    Exit status: 0 done, 2 wrong usage, 130 interrupted.
    """
    from bench.suite import load

    loaded = load(suite)
    threads.use_one()
    from bench.cli.run import backend
    from bench.errors import UsageError
    from bench.machine import compilation, locks
    from bench.records import tuning
    from bench.sweep.observer import Silent
    from bench.sweep.schedule import Sweep
    from bench.tuning.search import Trial, result, search

    compilation.enable_cache()
    folder = out or Path("results") / f"tune-{loaded.name}"
    claim = locks.acquire(folder / "locks" / f"{method.replace(':', '_')}.tuning")
    if claim is None:
        raise UsageError(f"another process tunes {method} in {folder}. Wait for it, or give another folder with --out.")
    found: list[Trial] = []
    began = time.monotonic()
    with backend(folder, Silent(), workers, None, None) as place:

        def run(jobs: "Sequence[Job]") -> bool:
            sweep = Sweep(place, Silent())
            sweep.run(jobs)
            for job, record in sweep.failed:
                reason = record.error.strip().splitlines()[-1]
                typer.echo(f"bench: failed: {job.cell.task_label}, seed {record.seed}: {reason}", err=True)
            for path, why in sweep.unstored.items():
                raise UsageError(f"{path} could not be written: {why}. Make room and run the same command again.")
            return not sweep.interrupted

        for trial in search(method, loaded, trials, seeds, folder, run):
            found.append(trial)
            best = max(t.score for t in found)
            shown = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in trial.setting.items())
            typer.echo(
                f"trial {len(found)}/{trials}  score {trial.score:.3f}  best {best:.3f}  {shown}  "
                f"({time.monotonic() - began:.0f} s)"
            )
    claim.release()
    if len(found) < trials:
        typer.echo("bench: interrupted. The same command goes on from here.", err=True)
        sys.exit(130)
    tuned = result(method, loaded, seeds, found)
    for path in (folder / tuning.NAME, store):
        if path:
            tuning.store_tuning(path, tuned)
            typer.echo(path)
    typer.echo(f"defaults {tuned.default_score:.3f}, best {tuned.best_score:.3f}: {tuned.best}")
