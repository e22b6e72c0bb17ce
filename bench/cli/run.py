"""`bench run`: train and judge."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench import registry
from bench.cli.terminal import progress
from bench.cli.terminal.backends import Device, choose_device, default_workers, enable_cache, open_backend
from bench.cli.terminal.interrupt import exit_interrupted
from bench.cli.terminal.leaderboards import installed_formats, warn, write_leaderboards
from bench.cli.terminal.lines import echo, echo_error
from bench.cli.terminal.options import Quiet, parse_settings
from bench.errors import UsageError
from bench.machine import threads
from bench.records.cell_file import read_records
from bench.records.files import RecordError
from bench.records.run import RunRecord
from bench.suite import load
from bench.sweep import status
from bench.sweep.forecast import Forecast, duration_in_words
from bench.sweep.job import Job, prepare
from bench.sweep.schedule import Sweep

PUBLISHED = Path("results/published")  # in a checkout


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
            "process. By default as many as there are cores, and 0 on a GPU or for a single cell of shipped code.",
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
    quiet: Quiet = False,
) -> None:
    """Run a suite: every method on every task under one budget, then print and write the leaderboards.

    Finished cells are skipped, and one that was interrupted goes on from its last checkpoint. Ctrl-C once saves the
    cells in hand and stops, twice stops at once.

    Exit status: 0 all runs ok, 1 some failed, 2 wrong usage, 130 interrupted.
    """
    if workers and cluster:
        raise UsageError("--workers and --cluster are two places to run cells: give one of them.")
    extra = parse_settings(settings or [])
    loaded = load(suite)
    cells = loaded.cells(tasks or (), methods or (), seeds, extra)
    threads.use_one()
    choose_device(device)
    registry.check_known(extra, [c.task for c in cells], [c.method for c in cells])
    folder = out or Path("results") / loaded.name
    jobs = prepare(cells, folder, again)
    found = list(read_records(folder))
    known = [record for record in found if isinstance(record, RunRecord)]
    if workers is None and not cluster:
        cells_to_run = [job.cell for job in jobs if job.todo]
        foreign = any(":" in name for cell in cells_to_run for name in (cell.task, cell.method))
        workers = default_workers(len(cells_to_run), foreign)
    if dry_run:
        for error in (each for each in found if isinstance(each, RecordError)):
            warn(str(error))
        _print_plan(jobs, known or _published(loaded.name), workers or 1)
        return
    _add_to_plan(folder, jobs)
    enable_cache()
    forecast = Forecast([job for job in jobs if job.todo], known, workers or 1)
    with (
        progress.display(forecast, quiet) as display,
        open_backend(folder, display, workers, cluster, limit) as backend,
    ):
        sweep = Sweep(backend, display)
        sweep.run(jobs)
    if sweep.interrupted:
        exit_interrupted()
    _exit_with_failures(sweep, _write_leaderboards(folder, sweep))


def _published(suite: str) -> list[RunRecord]:
    """The published records of a suite, or of all suites: what runs took elsewhere, for a folder without records."""
    for folder in (PUBLISHED / suite, PUBLISHED):
        if found := [record for record in read_records(folder) if isinstance(record, RunRecord)]:
            return found
    return []


def _print_plan(jobs: Sequence[Job], known: Sequence[RunRecord], width: int) -> None:
    """Print a line for each cell: what is to run, what is done, and how long it may take, by the records there are."""
    forecast = Forecast(jobs, known, width)
    for job in jobs:
        done = len(job.cell.seeds) - len(job.todo)
        line = f"{progress.job_name(job)}  {len(job.todo)} seeds to run, {done} done"
        if superseded := job.superseded():
            line += f" ({len(superseded)} again: {'; '.join(dict.fromkeys(superseded.values()))})"
        point = status.progress(job.folder, job.checkpoints, job.todo) if job.todo else None
        if point:
            forecast.shares[job.lock] = point["share"]
            line += f", goes on at {point['share']:.0%}"
        echo(line + (f"  about {duration_in_words(forecast.cell(job))}" if job.todo else ""))
    echo(f"{sum(len(job.todo) for job in jobs)} runs to do, about {duration_in_words(forecast.left())}")


def _add_to_plan(folder: Path, jobs: Sequence[Job]) -> None:
    """Let `bench status` know of the cells, or warn where that cannot be written."""
    try:
        status.add_to_plan(folder, [job.planned() for job in jobs])
    except OSError as error:
        echo_error(f"warning: `bench status` will not know of this run ({error.strerror}).")


def _write_leaderboards(folder: Path, sweep: Sweep) -> str:
    """Print and write the leaderboards; return why they could not be written, "" if they were."""
    try:
        return write_leaderboards(folder, installed_formats())
    except UsageError:
        if not sweep.unstored:  # without stored records it is no wonder that there are none to read
            raise
    return ""


def _exit_with_failures(sweep: Sweep, unwritten: str) -> None:
    """Name every failure, and exit with status 1 if there is one. `unwritten` is why there are no leaderboards."""
    for job, record in sweep.failed:
        reason = record.error.strip().splitlines()[-1]
        what = f"{record.task}  {record.method}  seed {record.seed}"
        echo_error(f"bench: failed: {what}: {reason} (log: {job.log})")
    for place, reason in sweep.unstored.items():
        echo_error(f"bench: not stored: {place}: {reason}")
    if sweep.failed:
        echo_error(f"bench: {len(sweep.failed)} runs failed; the end of each traceback is in its record.")
    if unwritten:
        echo_error(f"bench: {unwritten}")
    if sweep.failed or sweep.unstored or unwritten:
        sys.exit(1)
