"""`bench run`: train and judge."""

import enum
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.errors import UsageError
from bench.machine import threads

if TYPE_CHECKING:
    from bench.records.run import RunRecord
    from bench.sweep.job import Job
    from bench.sweep.observer import AbstractObserver
    from bench.sweep.schedule import Backend, Sweep


class Device(enum.StrEnum):
    """Kinds of device."""

    cpu = "cpu"
    gpu = "gpu"


def command(
    suite: Annotated[str, typer.Argument(help="A shipped suite (see `bench list suites`) or a .toml file.")],
    tasks: Annotated[
        list[str] | None, typer.Option("--task", help="This task in place of the suite's; may be repeated.")
    ] = None,
    methods: Annotated[
        list[str] | None, typer.Option("--method", help="This method in place of the suite's; may be repeated.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds 0 to N-1 in place of the suite's number.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="name.field=value for a task or method, e.g. sac.batch=256; may be repeated."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Output folder; results/SUITE by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, print the cells, run nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Run finished cells once more.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Cells at once, each in a process with its share of the cores; 0 for one after the other in this "
            "process. By default as many as there are cores, and 0 on a GPU or for a single cell.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Run cells on a Dask cluster; ADDRESS of its scheduler, e.g. tcp://10.0.0.1:8786."),
    ] = None,
    device: Annotated[Device | None, typer.Option(help="Where to compute; a GPU if there is one, by default.")] = None,
    limit: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds of wall time for a cell, which then fails. Hard with --workers."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Run a suite: every method on every task under one budget, then print and write the leaderboards.

    Finished cells are skipped, and one that was interrupted goes on from its last checkpoint. Ctrl-C once saves the
    cells in hand and stops, twice stops at once.

    Exit status: 0 all runs ok, 1 some failed, 2 wrong usage, 130 interrupted.
    """
    from bench.suite import load

    if workers and cluster:
        raise UsageError("--workers and --cluster are two places to run cells: give one of them.")
    loaded = load(suite)
    cells = loaded.cells(tasks or (), methods or (), seeds, parse(settings or []))

    if device is Device.cpu:
        os.environ["JAX_PLATFORMS"] = "cpu"  # here, and in the processes that we start
    # Everything from here on needs JAX.
    threads.use_one()
    from bench import registry
    from bench.cli import report
    from bench.cli.terminal import progress
    from bench.machine import compilation
    from bench.records.run import RunRecord, read_records
    from bench.sweep import forecast, status
    from bench.sweep.forecast import Forecast
    from bench.sweep.job import prepare
    from bench.sweep.schedule import Sweep

    if device is Device.gpu:
        _require_gpu()
    extra = parse(settings or [])
    registry.check_known(extra, [c.task for c in cells], [c.method for c in cells])
    folder = out or Path("results") / loaded.name
    jobs = prepare(cells, folder, again)
    known = [record for record in read_records(folder) if isinstance(record, RunRecord)]
    todo = [job for job in jobs if job.todo]
    if workers is None and not cluster:
        workers = default_workers(len(todo))
    if dry_run:
        _print_plan(jobs, known, workers or 1)
        return
    try:
        status.add_to_plan(folder, [job.planned() for job in jobs])
    except OSError as error:
        typer.echo(f"warning: `bench status` will not know of this run ({error.strerror}).", err=True)
    compilation.enable_cache()
    forecast = Forecast(todo, known, workers or 1)
    with progress.display(forecast, quiet) as shown, backend(folder, shown, workers, cluster, limit) as place:
        sweep = Sweep(place, shown)
        sweep.run(todo)
    if sweep.interrupted:
        typer.echo("bench: interrupted. The same command goes on from here.", err=True)
        sys.exit(130)
    unwritten = ""
    try:
        report.write(folder, report.everything())
    except OSError as error:
        unwritten = error.strerror or str(error)
    except UsageError:
        if not sweep.unstored:  # then it is no wonder that there are no records
            raise
    _summarise(sweep, unwritten)


def default_workers(cells: int) -> int:
    """One for each core, as to vmap seeds on a CPU saves compilation and no time; on a GPU it does."""
    import jax

    number = min(len(threads.cores()), cells) if jax.default_backend() == "cpu" else 1
    return number if number > 1 else 0


def _require_gpu() -> None:
    import jax

    if jax.default_backend() != "gpu":
        raise UsageError(f"--device gpu, but JAX finds only: {', '.join(map(str, jax.devices()))}.")


def _print_plan(jobs: "Sequence[Job]", known: "Sequence[RunRecord]", width: int) -> None:
    """A line for each cell: what is to run, what is done, and how long it may take, by the records there are."""
    from bench.cli.terminal import progress
    from bench.sweep import forecast
    from bench.sweep.forecast import duration_in_words
    from bench.sweep.status import last_point

    forecast = forecast.Forecast(jobs, known, width)
    for job in jobs:
        done = len(job.cell.seeds) - len(job.todo)
        line = f"{progress.name(job)}  {len(job.todo)} seeds to run, {done} done"
        point = last_point(job.checkpoint().path) if job.todo else None
        if point:
            forecast.shares[job.lock] = point["share"]
            line += f", goes on at {point['share']:.0%}"
        typer.echo(line + (f"  about {duration_in_words(forecast.cell(job))}" if job.todo else ""))
    typer.echo(f"{sum(len(job.todo) for job in jobs)} runs to do, about {duration_in_words(forecast.left())}")


@contextmanager
def backend(
    folder: Path, shown: "AbstractObserver", workers: int | None, cluster: str | None, limit: float | None
) -> "Iterator[Backend]":
    """Where cells run, with Ctrl-C handled; `shown` is told of what happens."""
    from bench.cli.terminal import interrupt
    from bench.sweep import executors
    from bench.sweep.execute import execute_in_worker, execute_remotely
    from bench.sweep.executors import SPAWN
    from bench.sweep.schedule import Backend, in_process

    stop = SPAWN.Event()
    with interrupt.handled(stop, shown.say):
        if cluster:
            with executors.cluster(cluster) as executor:
                from distributed.scheduler import KilledWorker

                call = partial(execute_remotely, limit=limit)
                yield Backend(executor, call, sys.maxsize, stop.is_set, distant=True, losses=(KilledWorker,))
        elif workers:
            with executors.Workers(workers, stop, limit, folder / "logs") as executor:
                yield Backend(executor, execute_in_worker, workers, stop.is_set)
        else:
            yield in_process(shown, stop.is_set, limit)


def _summarise(sweep: "Sweep", unwritten: str) -> None:
    """Name every failure, and exit with 1 if there is one; `unwritten` is why there are no leaderboards."""
    for job, record in sweep.failed:
        reason = record.error.strip().splitlines()[-1]
        what = f"{record.task}  {record.method}  seed {record.seed}"
        typer.echo(f"bench: failed: {what}: {reason} (log: {job.log})", err=True)
    for path, reason in sweep.unstored.items():
        typer.echo(f"bench: not stored: {path}: {reason}. Make room and run the same command again.", err=True)
    if sweep.failed:
        typer.echo(f"bench: {len(sweep.failed)} runs failed; the end of each traceback is in its record.", err=True)
    if unwritten:
        typer.echo(f"bench: the leaderboards could not be written: {unwritten}.", err=True)
    if sweep.failed or sweep.unstored or unwritten:
        sys.exit(1)


def parse(settings: list[str]) -> dict[str, dict[str, str]]:
    """["name.field=value", ...] by name. Raises UsageError."""
    parsed: dict[str, dict[str, str]] = {}
    for text in settings:
        path, equals, value = text.partition("=")
        # "my.module:Attr.field": the first dot after the attribute begins the field.
        start = path.find(":") + 1
        dot = path.find(".", start)
        if not equals or dot < 1 or dot == len(path) - 1:
            raise UsageError(f"--set takes name.field=value, e.g. sac.batch=256, got '{text}'.")
        parsed.setdefault(path[:dot], {})[path[dot + 1 :]] = value
    return parsed
