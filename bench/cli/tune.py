"""`bench tune`: search for a method's best setting on tasks that are not scored."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.terminal.backends import enable_cache, open_backend
from bench.cli.terminal.interrupt import exit_interrupted
from bench.cli.terminal.lines import echo, echo_error
from bench.errors import UsageError
from bench.machine import locks, threads
from bench.records import tuning
from bench.suite import load
from bench.sweep.job import Job
from bench.sweep.observer import Silent
from bench.sweep.schedule import Backend, Sweep
from bench.tuning.search import Trial, result, search


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
    loaded = load(suite)
    threads.use_one()
    enable_cache()
    folder = out or Path("results") / f"tune-{loaded.name}"
    lock = locks.acquire(folder / "locks" / f"{method.replace(':', '_')}.tuning")
    if lock is None:
        raise UsageError(f"another process tunes {method} in {folder}. Wait for it, or give another folder with --out.")
    with open_backend(folder, Silent(), workers) as backend:
        found = _show(search(method, loaded, trials, seeds, folder, lambda jobs: _complete(jobs, backend)), trials)
    lock.release()
    if len(found) < trials:
        exit_interrupted()
    tuned = result(method, loaded, seeds, found, folder)
    for path in (folder / tuning.FILE_NAME, store):
        if path:
            tuning.store_tuning(path, tuned)
            echo(path)
    echo(f"defaults {tuned.default_score:.3f}, best {tuned.best_score:.3f}: {tuned.best}")


def _complete(jobs: Sequence[Job], backend: Backend) -> bool:
    """Run the jobs of a trial; False if they were interrupted. Raises UsageError if a record cannot be stored."""
    sweep = Sweep(backend, Silent())
    sweep.run(jobs)
    for job, record in sweep.failed:
        reason = record.error.strip().splitlines()[-1]
        echo_error(f"bench: failed: {job.cell.task_label}, seed {record.seed}: {reason}")
    for place, why in sweep.unstored.items():
        raise UsageError(f"{place} could not be written: {why}")
    return not sweep.interrupted


def _show(search: Iterable[Trial], trials: int) -> list[Trial]:
    """Print a line for each trial of a search when it has ended, and return the trials."""
    began = time.monotonic()
    found: list[Trial] = []
    for trial in search:
        found.append(trial)
        best = max(t.score for t in found)
        setting = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in trial.settings.items())
        echo(
            f"trial {len(found)}/{trials}  score {trial.score:.3f}  best {best:.3f}  {setting}  "
            f"({time.monotonic() - began:.0f} s)"
        )
    return found
