"""`bench gallery`: the table of all tasks in the documentation, and its thumbnails."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from bench import registry
from bench.cli.terminal.lines import echo, echo_error
from bench.errors import UsageError
from bench.records.reference import Reference
from bench.records.references import References
from bench.reference.controls import control_sequence
from bench.reference.episodes import simulate_controls
from bench.reference.fingerprint import fingerprint
from bench.report import episode_figure
from tasks.base import AbstractTask

BEGIN, END = "<!-- tasks: python -m bench gallery -->\n", "<!-- end of tasks -->"
THUMBNAILS = Path("results/published/thumbnails")
UP = "../"  # from the page, which is in docs/, to the root
HEAD = """\
| task | states | controls | horizon | steps | source | grade | best known control |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def command(
    page: Annotated[
        Path, typer.Argument(help="The page with the table, in a folder beside results/, where thumbnails go.")
    ] = Path("docs/tasks.md"),
) -> None:
    """Write the table of all tasks into its page, and draw the thumbnails that it shows."""
    text = _read(page)
    folder = page.parent.parent / THUMBNAILS
    folder.mkdir(parents=True, exist_ok=True)
    references = References.shipped().by_fingerprint()
    for name in registry.TASKS:
        _draw(name, references, folder / f"{name}.png")
    before, _, rest = text.partition(BEGIN)
    page.write_text(before + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")
    echo(page)


def table() -> str:
    """Write the table of all tasks, in markdown."""
    references = References.shipped().by_fingerprint()
    return HEAD + "".join(_row(name, registry.task(name), references) for name in registry.TASKS)


def source(task: AbstractTask) -> str:
    """The first work in the "Source" paragraph of the task's file, without remarks and further sentences."""
    module = inspect.getmodule(type(task))
    found = re.search(r"^Source[^:\n]*: (.*?)(?:\n\n|\Z)", (module and module.__doc__) or "", re.DOTALL | re.MULTILINE)
    cited = " ".join(found[1].split()) if found else ""
    without_remarks = re.sub(r" \((?![^)]*\d{4}\))[^)]*\)", "", cited)  # a year ends what belongs to the citation
    return re.split(r";|(?<=\d)\. ", without_remarks)[0].rstrip(" .")


def _read(page: Path) -> str:
    """The text of the page. Raises UsageError if it has no place for the table."""
    try:
        text = page.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {page}: {error.strerror}. Run it where docs/ is.") from error
    if BEGIN not in text or END not in text:
        raise UsageError(f"{page} has no place for the table: it goes between '{BEGIN.strip()}' and '{END}'.")
    return text


def _draw(name: str, references: Mapping[str, Reference], file: Path) -> None:
    """Draw a task's best known control, or a random one, as a thumbnail."""
    task = registry.task(name)
    reference = references.get(fingerprint(task))
    if reference is None:
        echo_error(f"warning: {name} has no stored reference, so its thumbnail is of a random control.")
    us = control_sequence("best" if reference else "random", name, task, reference, seed=0)
    episode = simulate_controls(task, us, reference.states if reference else None)
    episode_figure.write_thumbnail(task, episode, file, reference.digest if reference else "")
    echo(file)


def _row(name: str, task: AbstractTask, references: Mapping[str, Reference]) -> str:
    reference = references.get(fingerprint(task))
    unit = {"1": ""}.get(task.time_unit, f" {task.time_unit}")
    cells = (
        f"[{name}]({UP}{type(task).__module__.replace('.', '/')}.py)",
        len(task.states),
        len(task.controls),
        f"{task.horizon:g}{unit}",
        task.num_steps,
        source(task),
        reference.grade if reference else "",
        f'<img src="{UP}{(THUMBNAILS / name).as_posix()}.png" width="120" alt="states and controls of {name}">',
    )
    return f"| {' | '.join(map(str, cells))} |\n"
