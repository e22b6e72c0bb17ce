"""`bench show`: one episode of a task as a figure."""

from pathlib import Path
from typing import Annotated

import typer

from bench import registry
from bench.analysis.stats import score
from bench.cli.terminal.figures import save_figure
from bench.cli.terminal.lines import echo, echo_error
from bench.cli.terminal.options import parse_settings
from bench.records.reference import Reference
from bench.records.reference_file import newest_folder
from bench.records.references import References
from bench.reference.controls import bounds_warning, control_sequence
from bench.reference.episodes import simulate_controls
from bench.reference.fingerprint import fingerprint
from bench.reference.lookup import lookup
from bench.report import episode_figure
from bench.report.shown import show_score
from tasks.base import AbstractTask


def command(
    name: Annotated[str, typer.Argument(metavar="TASK", help="A task (see `bench list tasks`) or 'module:attr'.")],
    control: Annotated[
        str,
        typer.Option(help="best (known), constant (the best one), random, or a .csv or .npy FILE, a row a step."),
    ] = "best",
    out: Annotated[
        Path | None, typer.Option(help="The file to write, .png, .pdf or .svg; TASK.png by default.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="TASK.field=value, e.g. harvest.num_steps=50; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random control.")] = 0,
    results: Annotated[
        Path | None,
        typer.Option(
            help="A folder that `bench run` wrote, whose references are known too. By default the newest in results/."
        ),
    ] = None,
) -> None:
    """Draw states with their ranges and targets, controls, and the accumulated cost of one episode against time."""
    extra = parse_settings(settings or [])
    registry.check_known(extra, [name], [])
    task = registry.task(name, extra.get(name))
    reference = _reference(task, results)
    us = control_sequence(control, name, task, reference, seed)
    if Path(control).suffix and (warning := bounds_warning(us, task)):  # a known optimum may miss them by a rounding
        echo_error(f"warning: --control {control}: {warning}")
    episode = simulate_controls(task, us, reference.states if reference and control == "best" else None)
    numbers = [f"cost {float(episode.cost):.6g}"]
    if reference and reference.headroom:
        numbers.append(f"score {show_score(score(float(episode.cost), reference.floor, reference.best))}")
    title = f"{name}, {Path(control).name} control: {', '.join(numbers)}"
    figure = episode_figure.episode_figure(task, episode, title)
    save_figure(figure, out or Path(f"{Path(name).name.replace(':', '.')}.png"))


def _reference(task: AbstractTask, results: Path | None) -> Reference | None:
    """The reference of a task, of the package or of a folder of results; None where it is not known."""
    identity = fingerprint(task)
    if not results and not References.shipped().of(identity):
        results = newest_folder(identity)
        if results:
            echo(f"The reference is that of {results}; --results DIR names another folder.", err=True)
    try:
        return lookup(task, References.beside(results) if results else References.shipped())
    except LookupError:
        return None
