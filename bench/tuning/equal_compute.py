"""How many updates between environment steps fit a given time: the calibration of tracks at equal compute.

A method names the settings that count its updates in `paced`; they are scaled together. Time is that of the steps
alone, without compilation and evaluation: CPU seconds, with one thread on a machine that does nothing else. The counts
then stand in a suite's file, and runs are as reproducible as any.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench import registry
from bench.budget import Budget
from bench.method import AbstractMethod
from bench.training.train import train
from tasks.base import AbstractTask

STEPS = 6  # of a method, that are timed; the first of them warms up and does not count
CLOSE = 0.1  # of the given time: near enough
ROUNDS = 5  # of looking again at what was found


@dataclass(frozen=True)
class MatchedUpdates:
    """A method's settings for the given time, with the CPU seconds of a run with its defaults and with these."""

    method: str
    settings: dict[str, int]
    default_seconds: float
    seconds: float


def cpu_seconds(task: AbstractTask, method: AbstractMethod, budget: Budget) -> float:
    """CPU seconds of the steps of a run, one seed, judged by a few of them."""
    usage = method.usage(task)
    evaluations = train(task, method, Budget(usage.init_env_steps + STEPS * usage.env_steps, STEPS), (0,))
    of_steps = np.diff([evaluation.train_seconds for evaluation in evaluations])[1:]
    return float(np.median(of_steps)) * budget.steps(usage)  # the median: one may have run beside something else


def match_updates(
    name: str, task: AbstractTask, budget: Budget, default_seconds: float, target: float
) -> MatchedUpdates:
    """The counts of updates with which a run takes `target` CPU seconds; at least 1 of each, so some take longer."""
    made = registry.method(name)
    defaults = {key: getattr(made, key) for key in made.paced}

    def scaled(factor: float) -> dict[str, int]:
        return {key: max(1, round(factor * count)) for key, count in defaults.items()}

    def seconds(factor: float) -> float:
        return cpu_seconds(task, registry.method(name, scaled(factor)), budget)

    # Time is a line in the updates, as the simulation takes its own: two points, then the line through the nearest two.
    ratio = target / default_seconds
    further = 2.0 if 0.5 < ratio < 2 else ratio
    slope = (seconds(further) - default_seconds) / (further - 1)
    least = 1 / max(defaults.values())
    factor = max(1 + (target - default_seconds) / slope, least)
    found = [(factor, seconds(factor))]
    # What was timed in a slow minute misleads the line: from there on closer by the ratio.
    for _ in range(ROUNDS):
        factor, taken = found[-1]
        closer = max(factor * target / taken, least)
        if abs(taken / target - 1) < CLOSE or scaled(closer) == scaled(factor):
            break
        found.append((closer, seconds(closer)))
    factor, taken = min(found, key=lambda each: abs(each[1] - target))
    return MatchedUpdates(name, scaled(factor), default_seconds, taken)


def suite_text(base: str, name: str, task: str, target: float, processor: str, paces: Iterable[MatchedUpdates]) -> str:
    """The text of suite `name` with settings from `paces` added, so that every method takes as long."""
    description = f"{name} at equal compute: updates that fit {target:.3g} CPU seconds a run (timed on {task})"
    text, count = re.subn(r"(?m)^description = .*$", lambda _: f'description = "{description}"', base, count=1)
    if not count:
        raise ValueError("the text of a suite has a line 'description = ...'.")
    blocks = [
        "\n".join(
            [
                f'[settings."{pace.method}"]  # {pace.seconds:.3g} s, with its defaults {pace.default_seconds:.3g} s',
                *(f"{key} = {count}" for key, count in pace.settings.items()),
            ]
        )
        for pace in paces
    ]
    head = f"# Made by `python -m bench pace {name}` on one core of {processor}.\n"
    return head + text.rstrip("\n") + "\n" + "".join(f"\n{block}\n" for block in blocks)
