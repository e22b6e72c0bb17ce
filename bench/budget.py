"""How much a run may spend, and when it is evaluated. No JAX here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.method import Usage


class BudgetError(UsageError):
    """The budget does not pay for a single step of a method."""


@dataclass(frozen=True)
class Budget:
    """At most `env_steps` environment steps, with about `evals` evaluations spread evenly over them."""

    env_steps: int
    evals: int = 20

    def __post_init__(self):
        _check_whole(env_steps=self.env_steps, evals=self.evals)

    def steps(self, usage: Usage) -> int:
        """Method steps that the budget pays for, rounded down; 0 for a method that spends nothing.

        Raises BudgetError if it pays for none.
        """
        if usage.env_steps == 0:
            return 0
        steps = (self.env_steps - usage.init_env_steps) // usage.env_steps
        if steps < 1:
            raise BudgetError(
                f"a budget of {self.env_steps} environment steps does not pay for one step: warm-up takes "
                f"{usage.init_env_steps} and a step {usage.env_steps}. Give at least "
                f"{usage.init_env_steps + usage.env_steps}."
            )
        return steps

    def evaluation_points(self, usage: Usage) -> list[int]:
        """Method steps after which the policy is evaluated: 0, the last, and `evals - 1` between, evenly."""
        steps = self.steps(usage)
        return sorted({round(i * steps / self.evals) for i in range(self.evals + 1)})


@dataclass(frozen=True)
class Allowance:
    """What a suite grants: environment steps or, so that every grid gets as many, whole episodes."""

    env_steps: int | None = None
    episodes: int | None = None
    evals: int = 20

    def __post_init__(self):
        if (self.env_steps is None) == (self.episodes is None):
            raise BudgetError(
                f"budget: give env_steps or episodes, one of them, got env_steps={self.env_steps} and "
                f"episodes={self.episodes}."
            )
        given = {name: value for name, value in vars(self).items() if value is not None}
        _check_whole(**given)

    def on(self, num_steps: int) -> Budget:
        """The budget for a task with episodes of `num_steps` intervals."""
        return Budget(self.env_steps or (self.episodes or 0) * num_steps, self.evals)


def _check_whole(**values: int) -> None:
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BudgetError(f"budget: {name} must be a whole number of at least 1, got {value!r}.")
