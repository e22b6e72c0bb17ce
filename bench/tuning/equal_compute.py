"""Equal compute: how many updates between environment steps a method can make in a given time.

A method names the settings that count its updates in `paced`; they are scaled together. Only its steps are timed, not
compilation or evaluation, in CPU seconds, with one thread on a machine that does nothing else. The counts are written
into a suite's file, so these runs are as reproducible as any.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench import registry
from bench.budget import MAX_EVALS, Budget
from bench.method import AbstractMethod, within
from bench.training.train import train
from tasks.base import AbstractTask

TIMED_STEPS = 6  # at least; the first warms up and does not count
TIME_RTOL = 0.1  # between the time that a method takes and the given time
MAX_CORRECTIONS = 5


@dataclass(frozen=True)
class MatchedUpdates:
    """A method's settings for the given time, with the CPU seconds of a run with its defaults and with these."""

    method: str
    settings: dict[str, int]
    default_seconds: float
    seconds: float


def cpu_seconds(task: AbstractTask, method: AbstractMethod, budget: Budget) -> float:
    """Estimate the CPU seconds that all steps of a run take, for one seed, from a few of them."""
    usage = within(method, task, budget).usage(task)
    timed = Budget(usage.init_env_steps + TIMED_STEPS * usage.env_steps, MAX_EVALS)  # an evaluation after each step
    evaluations = train(task, method, timed, (0,))
    spent = [e.train_seconds if e.cpu_seconds is None else e.cpu_seconds for e in evaluations]  # no CPU's on a GPU
    step_seconds = np.diff(spent)[1:]
    return float(np.median(step_seconds)) * budget.steps(usage)  # the median: one may have run beside something else


def match_updates(
    name: str, task: AbstractTask, budget: Budget, default_seconds: float, target: float
) -> MatchedUpdates:
    """Find the counts of updates with which a run takes `target` CPU seconds.

    A count is at least 1, so a method with few updates may take longer.
    """
    made = registry.method(name)
    defaults = {key: getattr(made, key) for key in made.paced}

    def scaled(factor: float) -> dict[str, int]:
        return {key: max(1, round(factor * count)) for key, count in defaults.items()}

    def seconds(factor: float) -> float:
        return cpu_seconds(task, registry.method(name, scaled(factor)), budget)

    # Time is linear in the updates, with a constant part for the simulation: two timings give a line, which gives the
    # factor.
    ratio = target / default_seconds
    further = 2.0 if 0.5 < ratio < 2 else ratio
    slope = (seconds(further) - default_seconds) / (further - 1)
    least = 1 / max(defaults.values())
    factor = max(1 + (target - default_seconds) / slope, least)
    timed = [(factor, seconds(factor))]
    # A timing in a slow minute misleads the line, so the factor is corrected by the ratio of times.
    for _ in range(MAX_CORRECTIONS):
        factor, taken = timed[-1]
        corrected = max(factor * target / taken, least)
        if abs(taken / target - 1) < TIME_RTOL or scaled(corrected) == scaled(factor):
            break
        timed.append((corrected, seconds(corrected)))
    factor, taken = min(timed, key=lambda each: abs(each[1] - target))
    return MatchedUpdates(name, scaled(factor), default_seconds, taken)


def suite_text(
    base: str, name: str, task: str, target: float, processor: str, matched: Iterable[MatchedUpdates]
) -> str:
    """Return `base`, the text of suite `name`, with the settings of `matched`, so that every method takes as long."""
    description = f"{name} at equal compute: updates that fit {target:.3g} CPU seconds a run (timed on {task})"
    text, count = re.subn(r"(?m)^description = .*$", lambda _: f'description = "{description}"', base, count=1)
    if not count:
        raise ValueError("the text of a suite needs a line 'description = ...'.")
    blocks = [
        "\n".join(
            [
                f'[settings."{m.method}"]  # {m.seconds:.3g} s, with its defaults {m.default_seconds:.3g} s',
                *(f"{key} = {count}" for key, count in m.settings.items()),
            ]
        )
        for m in matched
    ]
    head = f"# Made by `python -m bench pace {name}` on one core of {processor}.\n"
    return head + text.rstrip("\n") + "\n" + "".join(f"\n{block}\n" for block in blocks)
