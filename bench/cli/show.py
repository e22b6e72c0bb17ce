"""`bench show`: one episode of a task as a figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np

    from bench.records.reference import Reference
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
    seed: Annotated[int, typer.Option(min=0, help="Of the random control.")] = 0,
) -> None:
    """Draw states with their ranges and targets, controls, and the accumulated cost of one episode against time."""
    from bench import registry
    from bench.analysis.stats import score
    from bench.cli.run import parse
    from bench.errors import UsageError
    from bench.reference import lookup
    from bench.reference.episodes import simulate_controls
    from bench.report import episode_figure
    from bench.report.text import number

    extra = parse(settings or [])
    registry.check_known(extra, [name], [])
    task = registry.task(name, extra.get(name))
    try:
        known = lookup(task)
    except LookupError:
        known = None
    us = sequence(name, task, control, known, seed)
    trajectory = simulate_controls(task, us, known.states if known and control == "best" else None)
    words = [f"{name}, {Path(control).name} control", f"cost {float(trajectory.cost):.6g}"]
    if known and known.headroom:
        words.append(f"score {number(score(float(trajectory.cost), known.floor, known.best))}")
    figure = episode_figure.episode_figure(task, trajectory, ": ".join([words[0], ", ".join(words[1:])]))
    file = out or Path(f"{name.replace(':', '.')}.png")
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:  # no such folder; no such format
        raise UsageError(f"cannot write {file}: {error}") from error
    typer.echo(file)


def sequence(name: str, task: "AbstractTask", control: str, known: "Reference | None", seed: int) -> "np.ndarray":
    """The controls "steps m" that `control` names. Raises UsageError: no reference, no file, or another shape."""
    import numpy as np

    from bench.errors import UsageError

    shape = (task.num_steps, len(task.controls))
    low, high = task.bounds
    if control == "random":
        return np.random.default_rng(seed).uniform(low, high, shape)
    if control in ("best", "constant"):
        if known is None:
            raise UsageError(
                f"no stored reference for {name} with these settings, so its {control} control is not known. "
                f"`bench reference --task {name}` computes that of a task with its defaults; "
                "`--control random` or a FILE needs none."
            )
        return np.array(known.controls) if control == "best" else np.broadcast_to(known.floor_control, shape)
    return _read(Path(control), shape)


def _read(file: Path, shape: tuple[int, int]) -> "np.ndarray":
    import numpy as np

    from bench.errors import UsageError

    wanted = f"{shape[0]} rows (steps) of {shape[1]} number{'s' if shape[1] > 1 else ''} (controls)"
    if file.suffix not in (".csv", ".npy"):
        raise UsageError(f"--control is best, constant, random, or a .csv or .npy file of {wanted}, got '{file}'.")
    try:
        us = np.load(file) if file.suffix == ".npy" else np.loadtxt(file, delimiter=",", ndmin=2)
        us = np.asarray(us, float)
    except (OSError, ValueError) as error:
        raise UsageError(f"--control {file}: {error}. It should hold {wanted}.") from error
    if us.shape != shape or not np.all(np.isfinite(us)):
        got = f"shape {us.shape}" if us.shape != shape else "numbers that are not finite"
        raise UsageError(f"--control {file} should hold {wanted}, got {got}.")
    return us
