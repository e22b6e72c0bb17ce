"""`bench landscape`: what a return looks like along a direction, under the simulator and under models."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from bench import registry
from bench.cli.terminal import diagnostics
from bench.cli.terminal.options import Models, PartsAtOnce, Quiet, Tasks
from bench.gradients.landscape import Request


class Direction(enum.StrEnum):
    """The directions of `bench.gradients.slices`; a test compares them."""

    first = "first"
    gradient = "gradient"
    random = "random"


class Space(enum.StrEnum):
    """What is moved."""

    controls = "controls"
    policy = "policy"


def command(
    tasks: Tasks = None,
    models: Models = None,
    direction: Annotated[
        Direction | None, typer.Option(help="The first control, the true gradient, or a random direction.")
    ] = None,
    space: Annotated[Space | None, typer.Option(help="Directions of controls or of a policy's weights.")] = None,
    plane: Annotated[bool, typer.Option("--plane", help="Two directions: maps in place of lines.")] = False,
    points: Annotated[int, typer.Option(min=3, help="Points of a line; a plane has five times as many in all.")] = 201,
    starts: Annotated[int, typer.Option(min=1, help="Starts of gradient ascent.")] = 64,
    updates: Annotated[int | None, typer.Option(min=1, help="Optimiser steps given to each model.")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Random episodes that the models are fitted to.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds 0 to N-1, a figure each.")] = 1,
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("results/landscape"),
    workers: PartsAtOnce = None,
    quiet: Quiet = False,
) -> None:
    """Draw the return and its gradient along one or two directions, with where gradient ascent on each model ends."""
    defaults = diagnostics.read_defaults("landscape")
    chosen = tuple(models or defaults["models"])
    with diagnostics.open_runner(out, workers, quiet) as runner:
        diagnostics.check_models(chosen)
        on = tasks or defaults["tasks"]
        for task in on:
            registry.task(task)
        runner.compute(
            Request(
                suite="landscape",
                task=task,
                models=chosen,
                seed=seed,
                direction=(direction or Direction(defaults["direction"])).value,
                space=(space or Space(defaults["space"])).value,
                plane=plane,
                points=points,
                episodes=episodes or defaults["episodes"],
                updates=updates or defaults["updates"],
                starts=starts,
            )
            for task in on
            for seed in range(seeds)
        )
    diagnostics.draw_landscapes(runner)
    diagnostics.exit_unless_complete(runner)
