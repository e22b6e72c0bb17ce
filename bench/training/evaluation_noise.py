"""The noise of the episodes that judge a policy, as the second score needs it: knot by knot, in float64."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from bench.noisy_task import NoisyState
from bench.reference.starts import evaluation_states
from tasks.base import AbstractTask


class EvaluationNoise(NamedTuple):
    """The noise of the episodes of an evaluation, in float64; None and no distractors without noise."""

    push: Float[np.ndarray, "*seeds episodes steps n"] | None = None
    error: Float[np.ndarray, "*seeds episodes knots n"] | None = None
    distractors: Float[np.ndarray, "*seeds episodes knots d"] | None = None

    @classmethod
    def of(cls, task: AbstractTask) -> "EvaluationNoise":
        states = evaluation_states(task)
        if not isinstance(states, NoisyState):
            return cls()
        draw = jax.device_get(states.draw)
        return cls(
            *(None if each is None else each.astype(np.float64) for each in (draw.push, draw.error, draw.distractors))
        )

    @property
    def episodes(self) -> int:
        """The number of draws; 0 without noise."""
        return 0 if self.distractors is None else len(self.distractors)

    def tiled(self, seeds: int) -> "EvaluationNoise":
        """The same noise for both halves of the episodes of each seed."""
        return EvaluationNoise(*(None if each is None else np.tile(each, (seeds, 2, 1, 1)) for each in self))

    def observed(self, k: int, xs: Float[np.ndarray, "seeds episodes n"]) -> Float[np.ndarray, "seeds episodes seen"]:
        """Return the observation of states at knot k."""
        if self.distractors is None:
            return xs
        seen = xs if self.error is None else xs + self.error[:, :, k]
        return np.concatenate([seen, self.distractors[:, :, k]], axis=-1)

    def pushes(self, k: int) -> tuple[Float[np.ndarray, "seeds episodes n"], ...]:
        """What the noise adds to the vector field on interval k, if anything."""
        return () if self.push is None else (self.push[:, :, k],)
