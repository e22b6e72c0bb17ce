"""`bench reference`: compute the stored references of the package's tasks."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bench import registry, suite
from bench.cli.terminal.backends import enable_cache
from bench.cli.terminal.lines import echo, echo_error
from bench.cli.terminal.options import OnlyTasks
from bench.errors import UsageError
from bench.noise import NO_NOISE
from bench.noisy_task import NoisyTask
from bench.records import reference, reference_file
from bench.records.reference import Reference
from bench.records.references import References
from bench.reference import single_shooting
from bench.reference.adaptive_cost import adaptive_cost
from bench.reference.difficulty import integration_error, lyapunov
from bench.reference.feasibility import with_violations
from bench.reference.fingerprint import fingerprint
from bench.reference.lookup import complete, noise_free_bounds
from bench.reference.starts import evaluation_starts
from bench.sweep.resolve import task_of_cell
from tasks.base import AbstractTask

CrossCheck = Callable[..., Reference]  # bench.reference.cross_check.cross_check


def command(
    tasks: OnlyTasks = None,
    suites: Annotated[
        list[str] | None, typer.Option("--suite", help="Only what this suite needs; may be repeated.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that are stored.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="A folder of results, whose references.toml is read and written.")
    ] = None,
) -> None:
    """Compute reference optima by two routes into tasks/references.toml, for every grid that a shipped suite uses.

    What is stored is skipped, so an interrupted command goes on where it stopped. A task of your own needs --out.
    """
    if not out and (own := [name for name in tasks or [] if name not in registry.TASKS and ":" in name]):
        out = reference_file.newest_folder(fingerprint(registry.task(own[0])))
        if not out:
            raise UsageError(
                f"{own[0]} is not part of the package, so its references belong to your results, and no folder in "
                "results/ has one: give --out DIR, the folder of its runs."
            )
        echo(f"{own[0]} has its references in {out}; --out DIR names another folder.", err=True)
    file = out / reference_file.FILE_NAME if out else reference_file.PACKAGE_FILE
    cross_check = _import_cross_check()
    enable_cache()
    wanted = dict(grids_of(tasks or [], suites or []))
    if not wanted:
        raise UsageError(f"no suite of {suites} has a task of {tasks}: `bench list suites --json` shows what each has.")
    for i, (key, (name, task, x0)) in enumerate(wanted.items(), 1):
        title = f"[{i}/{len(wanted)}] {name}  T = {task.horizon:g}, {task.num_steps} steps, from {x0.round(3).tolist()}"
        stored = reference_file.read_references(file).get(key)
        if stored and stored.is_complete and not again:
            echo(f"{title}  stored")
            continue
        echo(f"{title}  ...")
        began = time.monotonic()
        try:
            if isinstance(task, NoisyTask):
                known = References(reference_file.read_references(file))
                found = next(each for each in noise_free_bounds(task, known) if each.key == key)
            else:
                found = _compute(cross_check, name, task, x0, stored, again)
        except NotImplementedError as error:  # a function of the task that CasADi's route cannot translate
            found = stored or complete(References({}), name, task).by_key[key]
            echo_error(f"bench: {name}: {error}")
        reference_file.write_references(file, reference_file.read_references(file) | {key: found})
        echo(f"{title}  {_summary(found)}  {time.monotonic() - began:.0f} s")
    if not tasks and not suites and not out:
        _remove_others(wanted)


def grids_of(tasks: Sequence[str], suites: Sequence[str]) -> Iterator[tuple[str, tuple[str, AbstractTask, np.ndarray]]]:
    """Yield (key, (name, task, start)) for each task on its own grid, unless a suite is given, and on those of suites.

    An empty list stands for all tasks, or for all suites.
    """
    chosen = tasks or list(registry.TASKS)
    made: dict[str, tuple[str, AbstractTask]] = {} if suites else {name: (name, registry.task(name)) for name in chosen}
    for cell in (cell for name in suites or suite.names() for cell in suite.load(name).cells()):
        if cell.task in chosen:
            for each in (replace(cell, noise=NO_NOISE), cell):  # a noisy task needs those of its plant
                key = f"{each.task} {each.grid} {each.task_settings} {each.noise}"
                if key not in made:
                    made[key] = (each.task, task_of_cell(each))
    for name, task in made.values():
        identity = fingerprint(task)
        for x0 in evaluation_starts(task):
            key = reference.key_of(identity, None if task.starts == "fixed" else x0.tolist())
            yield key, (name, task, x0)


def _import_cross_check() -> CrossCheck:
    """The second route, which needs CasADi, an optional extra. Raises UsageError."""
    try:
        from bench.reference.cross_check import cross_check
    except ModuleNotFoundError as error:
        raise UsageError(f"references need CasADi ({error}): `pip install 'myriad-bench[reference]'`.") from error
    return cross_check


def _compute(
    cross_check: CrossCheck, name: str, task: AbstractTask, x0: np.ndarray, stored: Reference | None, again: bool
) -> Reference:
    """Take the routes that the stored reference lacks, or both of them `again`."""
    found = stored
    if found is None or again:
        found = cross_check(task, single_shooting.single_shooting(name, task, x0), earlier=stored)
    elif found.multiple_shooting is None:
        found = cross_check(task, found)
    if found.adaptive is None or found.outside is None:
        found = with_violations(task, replace(found, adaptive=adaptive_cost(task, found)))
        doubtful = found.is_doubtful or not found.is_feasible
        found = replace(found, grade="C") if doubtful and found.grade == "B" else found
    if found.start is None and found.lyapunov is None:  # the difficulty from random starts is that from the task's own
        found = replace(found, integration_error=integration_error(task), lyapunov=lyapunov(task))
    return found


def _remove_others(wanted: dict[str, tuple[str, AbstractTask, np.ndarray]]) -> None:
    """Remove stored references that no suite uses any more."""
    stored = reference_file.read_references(reference_file.PACKAGE_FILE)
    stale = stored.keys() - wanted.keys()
    reference_file.write_references(reference_file.PACKAGE_FILE, {key: r for key, r in stored.items() if key in wanted})
    echo(f"{len(wanted)} references, {len(stale)} stale ones removed: {reference_file.PACKAGE_FILE}")


def _summary(found: Reference) -> str:
    difference = "none" if found.difference is None else f"{found.difference:.1e}"
    return (
        f"floor {found.floor:.8g}, best {found.best:.8g}, grade {found.grade}, difference {difference}, "
        f"residual {found.residual:.1e}, second order {found.second_order}, spread {found.spread:.1e}"
        + (f"; a constraint is violated by {found.violation:.1e} of its range" if found.violation else "")
        + (f"; a state leaves its range by {found.outside:.1e} of it" if found.outside else "")
        + (f"; an adaptive solver changes it by {found.solver_gap:.1e} of the headroom" if found.is_doubtful else "")
    )
