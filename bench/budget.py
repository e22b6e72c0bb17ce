"""Budgets: how much a run may spend, and when it is evaluated. No JAX here."""

import math
from dataclasses import dataclass, replace

from bench.errors import UsageError, shown

MAX_COUNT = 10**15  # of environment steps, and of all that a budget counts
MAX_EVALS = 10**6
MAX_STEPS = 2**31 - 1  # of a method: the training loop counts them in 32 bits
COUNTS = ("env_steps", "env_grad_steps", "init_env_steps", "updates", "acting_env_steps")  # of a Usage


@dataclass(frozen=True)
class Usage:
    """What a method spends in one `step` and, for `init_env_steps`, in `init`.

    An environment step is one control interval, whatever its substeps. `env_grad_steps` counts those of the same steps
    that were also differentiated; they are not added. `updates` are the optimiser's steps, for budgets that cap them.
    `acting_env_steps` are what `policy` and the policy's calls simulate to act in one judged episode, at most, beside
    the steps of the episode itself: a method that plans on the true simulator is a planner, ranked among planners only.
    An oracle is not `charged`: it simulates more than it declares, so it is shown and never ranked.
    """

    env_steps: int
    env_grad_steps: int = 0
    init_env_steps: int = 0
    updates: int = 0
    charged: bool = True
    acting_env_steps: int = 0

    def __post_init__(self):
        for name in COUNTS:
            value = getattr(self, name)
            try:
                whole = int(value)
            except (TypeError, ValueError, OverflowError):
                whole = None
            if whole is None or whole != value or not 0 <= whole <= MAX_COUNT:
                raise BudgetError(
                    f"Usage: {name} must be a whole number of at least 0 and at most {MAX_COUNT}, got {shown(value)}."
                )
            object.__setattr__(self, name, whole)  # a whole number of NumPy is no value of JSON


class BudgetError(UsageError):
    """A budget that is malformed, or does not pay for a single step of a method."""


@dataclass(frozen=True)
class Budget:
    """At most `env_steps` environment steps, with about `evals` evaluations spread evenly over them.

    Two caps may end a run earlier: gradient `updates`, for methods that declare them, and `seconds` of training for the
    block of seeds, tested after every evaluation. A run that seconds end cannot be repeated to the bit.
    `acting_env_steps` is what a policy may simulate in order to act, in one judged episode.
    """

    env_steps: int
    evals: int = 20
    updates: int | None = None
    seconds: int | float | None = None
    acting_env_steps: int = 0

    def __post_init__(self):
        _check(self.env_steps, self.evals, self.updates, self.seconds, self.acting_env_steps)

    def to_json(self) -> dict[str, int | float]:
        """Return the fields that are set, as values of JSON; all but `acting_env_steps` are above 0 where set."""
        return {name: value for name, value in vars(self).items() if value}

    def ended_by(self, usage: Usage) -> str:
        """Return what ends a run that no cap on seconds ends: "budget" or "updates"."""
        uncapped = replace(self, updates=None)
        return "updates" if self.steps(usage) < uncapped.steps(usage) else "budget"

    def steps(self, usage: Usage) -> int:
        """Return the method's steps that the budget pays for, rounded down; 0 for a method that spends nothing.

        Raises BudgetError if it pays for none, or not for what a judged episode simulates.
        """
        if usage.acting_env_steps > self.acting_env_steps:
            raise BudgetError(
                f"to act in one judged episode it simulates {usage.acting_env_steps} environment steps, and the budget "
                f"allows {self.acting_env_steps}. A suite for planners has `acting_env_steps = "
                f"{usage.acting_env_steps}` in its [budget]."
            )
        if usage.env_steps == 0:
            return 0
        if self.updates is not None and self.updates < usage.updates:
            raise BudgetError(f"a step makes {usage.updates} gradient updates; a cap of {self.updates} allows no step.")
        steps = (self.env_steps - usage.init_env_steps) // usage.env_steps
        if steps > MAX_STEPS:
            raise BudgetError(
                f"a budget of {self.env_steps} environment steps pays for {steps} steps of {usage.env_steps} each; a "
                f"run has at most {MAX_STEPS}. Give fewer."
            )
        if steps < 1:
            raise BudgetError(
                f"a budget of {self.env_steps} environment steps does not pay for one step: warm-up takes "
                f"{usage.init_env_steps} and a step {usage.env_steps}. Give at least "
                f"{usage.init_env_steps + usage.env_steps}."
            )
        return min(steps, self.updates // usage.updates) if self.updates is not None and usage.updates else steps

    def evaluation_points(self, usage: Usage) -> list[int]:
        """Return the method's steps before each evaluation: 0, all of them, and `evals - 1` numbers evenly between."""
        steps = self.steps(usage)
        evals = max(1, min(self.evals, steps))
        return sorted({round(i * steps / evals) for i in range(evals + 1)})


@dataclass(frozen=True)
class Allowance:
    """The budget of a suite: environment steps, or episodes, of which every grid gets as many; caps like in Budget."""

    env_steps: int | None = None
    episodes: int | None = None
    evals: int = 20
    updates: int | None = None
    seconds: int | float | None = None
    acting_env_steps: int = 0

    def __post_init__(self):
        if (self.env_steps is None) == (self.episodes is None):
            raise BudgetError(
                f"budget: give env_steps or episodes, one of them, got env_steps={self.env_steps} and "
                f"episodes={self.episodes}."
            )
        _check(self.env_steps, self.evals, self.updates, self.seconds, self.acting_env_steps)
        if self.episodes is not None:
            _check_whole(episodes=self.episodes)

    def on(self, num_steps: int) -> Budget:
        """Return the budget for a task with episodes of `num_steps` intervals."""
        env_steps = self.env_steps or (self.episodes or 0) * num_steps
        return Budget(env_steps, self.evals, self.updates, self.seconds, self.acting_env_steps)


def _check(
    env_steps: int | None, evals: int, updates: int | None, seconds: int | float | None, acting_env_steps: int
) -> None:
    given = {"env_steps": env_steps, "updates": updates}
    _check_whole(**{name: value for name, value in given.items() if value is not None})
    _check_whole(at_most=MAX_EVALS, evals=evals)
    _check_whole(at_least=0, acting_env_steps=acting_env_steps)
    if seconds is not None and (
        isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < math.inf
    ):
        raise BudgetError(f"budget: seconds must be a positive number, got {seconds!r}.")


def _check_whole(at_least: int = 1, at_most: int = MAX_COUNT, **values: int) -> None:
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or not at_least <= value <= at_most:
            raise BudgetError(
                f"budget: {name} must be a whole number of at least {at_least} and at most {at_most}, got {value!r}."
            )
