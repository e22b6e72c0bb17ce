"""Levels of noise, as a suite asks for them in its [noise] table. No JAX here."""

from dataclasses import dataclass

from bench.errors import UsageError, shown

MAX_LEVEL = 100.0  # of a range
MAX_DISTRACTORS = 1000


class NoiseError(UsageError):
    """A level of noise that cannot be."""


@dataclass(frozen=True)
class Noise:
    """How noisy the episodes of a task are; 0 is none. `bench.noisy_task` has the formulas.

    `process` is the standard deviation that the noise alone gives to an integrator at the end of the horizon, and
    `observation` that of the error of every observed state, both in units of a state's range. `distractors` are further
    observed components, which follow a process of their own and cost nothing.
    """

    process: int | float = 0.0
    observation: int | float = 0.0
    distractors: int = 0

    def __post_init__(self):
        for name in ("process", "observation"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_LEVEL:
                raise NoiseError(
                    f"noise: {name} must be a number of at least 0 and at most {MAX_LEVEL:g}, in units of a state's "
                    f"range, got {shown(value)}."
                )
            object.__setattr__(self, name, float(value))
        count = self.distractors
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_DISTRACTORS:
            raise NoiseError(
                f"noise: distractors must be a whole number of at least 0 and at most {MAX_DISTRACTORS}, got "
                f"{shown(count)}."
            )

    def __bool__(self) -> bool:
        return bool(self.process or self.observation or self.distractors)


NO_NOISE = Noise()
