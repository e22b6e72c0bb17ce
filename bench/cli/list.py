"""`bench list`: what there is."""

import enum
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from bench import suite
from bench.cli.terminal.lines import echo
from bench.cli.terminal.tables import print_table
from bench.records.references import References
from bench.report.text import Column, Table, number_column, text_column


class What(enum.StrEnum):
    """What can be listed."""

    tasks = "tasks"
    methods = "methods"
    suites = "suites"


class TaskEntry(NamedTuple):
    """A task and its reference; None where there is no reference, or none of its kind."""

    name: str
    states: int
    controls: int
    horizon: float
    num_steps: int
    floor: float | None
    best: float | None
    grade: str | None
    headroom: float | None
    integration_error: float | None
    lyapunov: float | None


class MethodEntry(NamedTuple):
    """A method and its settings."""

    name: str
    settings: dict[str, Any]


class SuiteEntry(NamedTuple):
    """A suite: tasks, methods, seeds, budget and grids. A table shows the numbers of tasks, methods and grids."""

    name: str
    tasks: list[str]
    methods: list[str]
    seeds: int
    env_steps: int | None
    episodes: int | None
    num_steps: list[int]
    stretch: list[int | float]
    description: str


class Listing(NamedTuple):
    """One table of the command: a column for each field of its entries, and how the entries are found."""

    columns: tuple[Column, ...]
    entries: Callable[[], Sequence[TaskEntry | MethodEntry | SuiteEntry]]


def command(
    what: Annotated[What, typer.Argument(help="What to list.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every field.")] = False,
) -> None:
    """List tasks with their references, methods with their settings, or suites.

    Columns of tasks: n states, m controls, horizon T, H intervals, integration error, Lyapunov exponent λ times T.
    """
    listing = LISTINGS[what]
    entries = listing.entries()
    if as_json:
        echo(json.dumps([entry._asdict() for entry in entries], indent=1))
    else:
        print_table(Table(what, listing.columns, [tuple(map(_cell, entry)) for entry in entries]))


def _tasks() -> list[TaskEntry]:
    # These import JAX, which `list suites` does not need.
    from bench import registry
    from bench.machine import compilation
    from bench.reference.fingerprint import fingerprint

    compilation.enable_cache()
    references = References.shipped().by_fingerprint()
    entries = []
    for name in registry.TASKS:
        task = registry.task(name)
        found = references.get(fingerprint(task))
        entries.append(
            TaskEntry(
                name=name,
                states=len(task.states),
                controls=len(task.controls),
                horizon=task.horizon,
                num_steps=task.num_steps,
                floor=found.floor if found else None,
                best=found.best if found else None,
                grade=found.grade if found else None,
                headroom=found.headroom if found else None,
                integration_error=found.integration_error if found else None,
                lyapunov=found.lyapunov if found else None,
            )
        )
    return entries


def _methods() -> list[MethodEntry]:
    from bench import registry  # imports JAX, which `list suites` does not need

    return [MethodEntry(name, registry.settings_of(registry.method(name))) for name in registry.METHODS]


def _suites() -> list[SuiteEntry]:
    return [
        SuiteEntry(
            name=s.name,
            tasks=list(s.tasks),
            methods=list(s.methods),
            seeds=s.seeds,
            env_steps=s.budget.env_steps,
            episodes=s.budget.episodes,
            num_steps=list(s.num_steps),
            stretch=list(s.stretch),
            description=s.description,
        )
        for s in map(suite.load, suite.names())
    ]


LISTINGS = {
    What.tasks: Listing(
        (
            text_column("name"),
            number_column("n", "number of states"),
            number_column("m", "number of controls"),
            number_column("T", "horizon"),
            number_column("H", "number of intervals"),
            number_column("floor", "cost of the best constant control"),
            number_column("best", "best known cost"),
            text_column("grade", "how sure the best known cost is: A, B or C"),
            number_column("headroom", "floor less best"),
            number_column("error", "integration error, relative"),
            number_column("λT", "Lyapunov exponent times the horizon"),
        ),
        _tasks,
    ),
    What.methods: Listing((text_column("name"), text_column("settings")), _methods),
    What.suites: Listing(
        (
            text_column("name"),
            number_column("tasks"),
            number_column("methods"),
            number_column("seeds"),
            number_column("env_steps", "environment steps of a run"),
            number_column("episodes", "episodes of a run"),
            number_column("H", "number of grids with other numbers of intervals"),
            number_column("stretch", "number of grids with other horizons"),
            text_column("description"),
        ),
        _suites,
    ),
}


def _cell(value: Any) -> str:
    """A value as text; of a list its length, as JSON has the list in full."""
    if isinstance(value, dict):
        return " ".join(f"{k}={v}" for k, v in value.items())
    if isinstance(value, list):
        return str(len(value) or "")
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)
