"""`bench list`: what there is."""

import enum
import json
from collections.abc import Callable
from typing import Annotated, Any

import typer


class What(enum.StrEnum):
    """What can be listed."""

    tasks = "tasks"
    methods = "methods"
    suites = "suites"


def command(
    what: Annotated[What, typer.Argument(help="What to list.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every field.")] = False,
) -> None:
    """List tasks with their references, methods with their settings, or suites.

    Of tasks: n states, m controls, horizon T, H intervals, integration error, Lyapunov exponent λ times T.
    """
    entries = LISTS[what]()
    if as_json:
        typer.echo(json.dumps(entries, indent=1))
        return
    from bench.cli.terminal.tables import print_table
    from bench.report.text import Table

    head = tuple(SYMBOLS.get(key, key) for key in entries[0])
    print_table(Table(what, head, [tuple(map(_cell, entry.values())) for entry in entries]))


def _tasks() -> list[dict[str, Any]]:
    from bench import registry
    from bench.reference.fingerprint import fingerprint

    known = References.shipped().by_fingerprint()
    entries = []
    for name in registry.TASKS:
        task = registry.task(name)
        found = known.get(fingerprint(task))
        entries.append(
            {
                "name": name,
                "states": len(task.states),
                "controls": len(task.controls),
                "horizon": task.horizon,
                "num_steps": task.num_steps,
                "floor": found.floor if found else None,
                "best": found.best if found else None,
                "grade": found.grade if found else None,
                "headroom": found.headroom if found else None,
                "integration_error": found.integration_error if found else None,
                "lyapunov": found.lyapunov if found else None,
            }
        )
    return entries


def _methods() -> list[dict[str, Any]]:
    from bench import registry

    return [{"name": name, "settings": registry.settings_of(registry.method(name))} for name in registry.METHODS]


def _suites() -> list[dict[str, Any]]:
    from bench import suite

    return [
        {
            "name": s.name,
            "tasks": list(s.tasks),
            "methods": list(s.methods),
            "seeds": s.seeds,
            "env_steps": s.budget.env_steps,
            "episodes": s.budget.episodes,
            "num_steps": list(s.num_steps),
            "stretch": list(s.stretch),
            "description": s.description,
        }
        for s in map(suite.load, suite.names())
    ]


SYMBOLS = {  # names in full are in the JSON
    "states": "n",
    "controls": "m",
    "horizon": "T",
    "num_steps": "H",
    "integration_error": "error",
    "lyapunov": "λT",
}
LISTS: dict[What, Callable[[], list[dict[str, Any]]]] = {
    What.tasks: _tasks,
    What.methods: _methods,
    What.suites: _suites,
}


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{k}={v}" for k, v in value.items())
    if isinstance(value, list):  # names in full are in the JSON
        return str(len(value) or "")
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)
