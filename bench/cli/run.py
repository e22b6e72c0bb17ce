"""`bench run`: train and judge."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UsageError


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
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Run a suite: every method on every task under one budget, then print and write the leaderboards.

    Finished cells are skipped. Exit status: 0 all runs ok, 1 some failed, 2 wrong usage.
    """
    from bench.suite import load

    loaded = load(suite)
    cells = loaded.cells(tasks or (), methods or (), seeds, parse(settings or []))

    # Everything from here on needs JAX.
    from bench import names
    from bench.cli import progress, report
    from bench.run import execute, prepare

    extra = parse(settings or [])
    names.check_known(extra, [c.task for c in cells], [c.method for c in cells])
    folder = out or Path("results") / loaded.name
    jobs = prepare(cells, folder, again)
    if dry_run:
        for job in jobs:
            done = len(job.cell.seeds) - len(job.todo)
            typer.echo(f"{progress.name(job)}  {len(job.todo)} seeds to run, {done} done")
        return
    failed = 0
    with progress.display([job for job in jobs if job.todo], quiet) as shown:
        for job in jobs:
            if job.todo:
                shown.begin(job)
                records = execute(job, shown.update)
                shown.end(job, records)
                failed += sum(record.status == "failed" for record in records)
    report.write(folder, [report.Format.csv, report.Format.markdown])
    if failed:
        typer.echo(f"bench: {failed} runs failed; the end of each traceback is in its record.", err=True)
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
