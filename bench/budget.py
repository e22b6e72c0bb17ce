"""Budgets: how much a run may spend, and when it is evaluated. No JAX here."""

from dataclasses import dataclass

from bench.errors import UsageError


@dataclass(frozen=True)
class Usage:
    """What a method spends in one `step` and, for `init_env_steps`, in `init`.

    An environment step is one control interval, whatever its substeps. `env_grad_steps` counts those of the same steps
    that were also differentiated; they are not added. `updates` are the optimiser's steps, for budgets that cap them.
    An oracle is not `charged`: it simulates more than it declares, so it is shown and never ranked.
    """

    env_steps: int
    env_grad_steps: int = 0
    init_env_steps: int = 0
    updates: int = 0
    charged: bool = True

    def __post_init__(self):
        for name in ("env_steps", "env_grad_steps", "init_env_steps", "updates"):
            value = getattr(self, name)
            try:
                whole = int(value)
            except (TypeError, ValueError, OverflowError):
                whole = None
            if whole is None or whole != value:
                raise BudgetError(f"Usage: {name} must be a whole number, got {value!r}.")
            object.__setattr__(self, name, whole)  # a whole number of NumPy is no value of JSON


class BudgetError(UsageError):
    """A budget that is malformed, or does not pay for a single step of a method."""


@dataclass(frozen=True)
class Budget:
    """At most `env_steps` environment steps, with about `evals` evaluations spread evenly over them.

    Two caps may end a run earlier: gradient `updates`, for methods that declare them, and `seconds` of training for the
    block of seeds, tested after every evaluation. A run that seconds end cannot be repeated to the bit.
    """

    env_steps: int
    evals: int = 20
    updates: int | None = None
    seconds: int | float | None = None

    def __post_init__(self):
        _check(self.env_steps, self.evals, self.updates, self.seconds)

    def to_json(self) -> dict[str, int | float]:
        """Return the fields that are set, as values of JSON."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def ended_by(self, usage: Usage) -> str:
        """Return what ends a run that no cap on seconds ends: "budget" or "updates"."""
        uncapped = Budget(self.env_steps)
        return "updates" if self.steps(usage) < uncapped.steps(usage) else "budget"

    def steps(self, usage: Usage) -> int:
        """Return the method's steps that the budget pays for, rounded down; 0 for a method that spends nothing.

        Raises BudgetError if it pays for none.
        """
        if usage.env_steps == 0:
            return 0
        if self.updates is not None and self.updates < usage.updates:
            raise BudgetError(f"a step makes {usage.updates} gradient updates; a cap of {self.updates} allows no step.")
        steps = (self.env_steps - usage.init_env_steps) // usage.env_steps
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
        return sorted({round(i * steps / self.evals) for i in range(self.evals + 1)})


@dataclass(frozen=True)
class Allowance:
    """The budget of a suite: environment steps, or episodes, of which every grid gets as many; caps like in Budget."""

    env_steps: int | None = None
    episodes: int | None = None
    evals: int = 20
    updates: int | None = None
    seconds: int | float | None = None

    def __post_init__(self):
        if (self.env_steps is None) == (self.episodes is None):
            raise BudgetError(
                f"budget: give env_steps or episodes, one of them, got env_steps={self.env_steps} and "
                f"episodes={self.episodes}."
            )
        _check(self.env_steps, self.evals, self.updates, self.seconds)
        if self.episodes is not None:
            _check_whole(episodes=self.episodes)

    def on(self, num_steps: int) -> Budget:
        """Return the budget for a task with episodes of `num_steps` intervals."""
        return Budget(self.env_steps or (self.episodes or 0) * num_steps, self.evals, self.updates, self.seconds)


def _check(env_steps: int | None, evals: int, updates: int | None, seconds: int | float | None) -> None:
    given = {"env_steps": env_steps, "evals": evals, "updates": updates}
    _check_whole(**{name: value for name, value in given.items() if value is not None})
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0):
        raise BudgetError(f"budget: seconds must be a positive number, got {seconds!r}.")


def _check_whole(**values: int) -> None:
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BudgetError(f"budget: {name} must be a whole number of at least 1, got {value!r}.")
