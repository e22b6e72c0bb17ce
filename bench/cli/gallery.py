"""`bench gallery`: the README's table of all tasks, and its thumbnails."""

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.records.reference import Reference
    from tasks.base import AbstractTask

BEGIN, END = "<!-- tasks: python -m bench gallery -->\n", "<!-- end of tasks -->"
THUMBNAILS = Path("results/published/thumbnails")
HEAD = """\
| task | states | controls | horizon | steps | source | grade | best known control |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def command(
    readme: Annotated[Path, typer.Argument(help="The file with the table; thumbnails go beside it.")] = Path(
        "README.md"
    ),
) -> None:
    """Write the table of all tasks into the README, and draw the thumbnails that it shows."""
    from bench import registry
    from bench.cli.show import sequence
    from bench.errors import UsageError
    from bench.reference.episodes import simulate_controls
    from bench.report import episode_figure

    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {readme}: {error.strerror}. Run it where the README is.") from error
    if BEGIN not in text or END not in text:
        raise UsageError(f"{readme} has no place for the table: it goes between '{BEGIN.strip()}' and '{END}'.")
    folder = readme.parent / THUMBNAILS
    folder.mkdir(parents=True, exist_ok=True)
    known = References.shipped().by_fingerprint()
    for name in registry.TASKS:
        task = registry.task(name)
        found = find(known, task)
        if not found:
            typer.echo(f"warning: {name} has no stored reference, so its thumbnail is of a random control.", err=True)
        us = sequence(name, task, "best" if found else "random", found, seed=0)
        episode_figure.write_thumbnail(
            task, simulate_controls(task, us, found.states if found else None), folder / f"{name}.png"
        )
        typer.echo(folder / f"{name}.png")
    before, _, rest = text.partition(BEGIN)
    readme.write_text(before + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")
    typer.echo(readme)


def table() -> str:
    """The table of all tasks, in markdown."""
    from bench import registry

    known = References.shipped().by_fingerprint()
    return HEAD + "".join(_row(name, registry.task(name), find(known, registry.task(name))) for name in registry.TASKS)


def find(known: "dict[str, Reference]", task: "AbstractTask") -> "Reference | None":
    """The task's reference among those known by fingerprint."""
    from bench.reference.fingerprint import fingerprint

    return known.get(fingerprint(task))


def _row(name: str, task: "AbstractTask", found: "Reference | None") -> str:
    unit = {"1": ""}.get(task.time_unit, f" {task.time_unit}")
    cells = (
        f"[{name}]({type(task).__module__.replace('.', '/')}.py)",
        len(task.states),
        len(task.controls),
        f"{task.horizon:g}{unit}",
        task.num_steps,
        source(task),
        found.grade if found else "",
        f'<img src="{(THUMBNAILS / name).as_posix()}.png" width="120" alt="states and controls of {name}">',
    )
    return f"| {' | '.join(map(str, cells))} |\n"


def source(task: "AbstractTask") -> str:
    """The first work in the "Source" paragraph of the task's file: no remarks in parentheses, no further sentence."""
    module = inspect.getmodule(type(task))
    found = re.search(r"^Source[^:\n]*: (.*?)(?:\n\n|\Z)", (module and module.__doc__) or "", re.DOTALL | re.MULTILINE)
    cited = " ".join(found[1].split()) if found else ""
    without_remarks = re.sub(r" \((?![^)]*\d{4}\))[^)]*\)", "", cited)  # a year ends what belongs to the citation
    return re.split(r";|(?<=\d)\. ", without_remarks)[0].rstrip(" .")
