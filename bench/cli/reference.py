"""`bench reference`: compute the stored references of the package's tasks."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np

    from tasks import AbstractTask


def command(
    tasks: Annotated[
        list[str] | None, typer.Option("--task", help="Only this task; may be given several times.")
    ] = None,
    suites: Annotated[
        list[str] | None, typer.Option("--suite", help="Only what this suite needs; may be given several times.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that are stored.")] = False,
) -> None:
    """Compute reference optima by two routes into tasks/references.toml, for every grid that a shipped suite uses.

    What is stored is skipped, so an interrupted command goes on where it stopped.
    """
    # Before NumPy is loaded: on matrices of these sizes more threads are up to ten times slower.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from bench.errors import UsageError
    from bench.records import reference
    from bench.reference.difficulty import integration_error, lyapunov

    try:
        from bench.reference.cross_check import cross_check
        from bench.reference.single_shooting import single_shooting
    except ModuleNotFoundError as error:
        raise UsageError(f"references need CasADi ({error}): `pip install 'myriad-bench[reference]'`.") from error

    wanted = dict(grids_of(tasks or [], suites or []))
    if not wanted:
        raise UsageError(f"no suite of {suites} has a task of {tasks}: `bench list suites --json` shows what each has.")
    for i, (key, (name, task, x0)) in enumerate(wanted.items(), 1):
        say = f"[{i}/{len(wanted)}] {name}  T = {task.horizon:g}, {task.num_steps} steps, from {x0.round(3).tolist()}"
        stored = reference.read_references(reference.PACKAGE).get(key)
        if stored and stored.is_complete and not again:
            typer.echo(f"{say}  stored")
            continue
        typer.echo(f"{say}  ...")
        began = time.monotonic()
        found = stored
        if found is None or again:
            found = cross_check(task, single_shooting(name, task, x0), earlier=stored)
        elif found.multiple_shooting is None:
            found = cross_check(task, found)
        if found.start is None:  # of random starts the task's own stands for all
            found = replace(found, integration_error=integration_error(task), lyapunov=lyapunov(task))
        reference.write_references(reference.PACKAGE, reference.read_references(reference.PACKAGE) | {key: found})
        typer.echo(f"{say}  {_summary(found)}  {time.monotonic() - began:.0f} s")
    if not tasks and not suites:
        stored = reference.read_references(reference.PACKAGE)
        stale = stored.keys() - wanted.keys()
        reference.write_references(reference.PACKAGE, {key: r for key, r in stored.items() if key in wanted})
        typer.echo(f"{len(wanted)} references, {len(stale)} stale ones removed: {reference.PACKAGE}")


def grids_of(tasks: list[str], suites: list[str]) -> "Iterator[tuple[str, tuple[str, AbstractTask, np.ndarray]]]":
    """(key, (name, task, start)) for each task on its own grid, unless a suite is given, and on those of suites."""
    from bench import registry, suite
    from bench.records.reference import key_of
    from bench.reference.fingerprint import fingerprint
    from bench.reference.starts import evaluation_starts
    from bench.sweep.job import task_of_cell

    chosen = tasks or list(registry.TASKS)
    made: dict[str, tuple[str, AbstractTask]] = {} if suites else {name: (name, registry.task(name)) for name in chosen}
    for cell in (cell for name in suites or suite.names() for cell in suite.load(name).cells()):
        if cell.task in chosen:
            made[f"{cell.task} {cell.grid} {cell.task_settings}"] = (cell.task, task_of_cell(cell))
    for name, task in made.values():
        for x0 in evaluation_starts(task):
            yield key_of(fingerprint(task), None if task.starts == "fixed" else x0.tolist()), (name, task, x0)


def _summary(found) -> str:
    difference = "none" if found.difference is None else f"{found.difference:.1e}"
    return (
        f"floor {found.floor:.8g}, best {found.best:.8g}, grade {found.grade}, difference {difference}, "
        f"residual {found.residual:.1e}, second order {found.second_order}, spread {found.spread:.1e}"
    )
