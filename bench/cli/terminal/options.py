"""Options that several commands take, and what their texts mean. No JAX."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import UsageError

RecordsFolder = Annotated[Path, typer.Argument(help="A folder with run records, e.g. results/smoke.")]
OnlyTasks = Annotated[list[str] | None, typer.Option("--task", help="Only this task; may be repeated.")]
OnlyMethods = Annotated[list[str] | None, typer.Option("--method", help="Only this method; may be repeated.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="A task; may be repeated.")]
Models = Annotated[
    list[str] | None, typer.Option("--model", help="A method whose world model is fitted; may be repeated.")
]
PartsAtOnce = Annotated[
    int | None, typer.Option(min=0, help="Parts at once, each in a process; by default as many as there are cores.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]


def parse_settings(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """Turn ["name.field=value", ...] into {name: {field: value}}. Raises UsageError."""
    parsed: dict[str, dict[str, str]] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        # "my.module:Attr.field": the first dot after the attribute begins the field.
        start = path.find(":") + 1
        dot = path.find(".", start)
        if not equals or dot < 1 or dot == len(path) - 1:
            raise UsageError(f"--set takes name.field=value, e.g. sac.batch=256, got '{text}'.")
        parsed.setdefault(path[:dot], {})[path[dot + 1 :]] = value
    return parsed


def parse_whole_numbers(text: str, option: str) -> tuple[int, ...]:
    """Turn "5,10,20" into ascending whole numbers without repetition. Raises UsageError."""
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or found[0] < 1:
        raise UsageError(f"--{option} takes whole numbers of at least 1 with commas, e.g. 5,10,20, got '{text}'.")
    return found
