"""Does a policy live off the simulator's errors? Its episodes again by an adaptive solver, and on a finer grid.

rescored = rescore(task, method.policy(task, state), evaluation_starts(task))
"""

import dataclasses
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bench.simulate import AbstractPolicy, adaptive_transition, open_loop, rollout
from tasks.base import AbstractTask

FINER = 4
SUSPICIOUS = 0.01  # a gap above this is marked


@dataclass(frozen=True)
class Rescore:
    """Mean costs over the starts, in float64: `cost` by the task's own fixed steps, `adaptive` by a solver at rtol
    1e-8, `finer` on a grid FINER times as fine with the controls of `cost` held as long as there. `end_error` is that
    of `adaptive`: the largest miss of an end-state target. A number that could not be reached is nan.
    """

    cost: float
    adaptive: float
    finer: float
    end_error: float

    @property
    def gap(self) -> float:
        """The largest change of the cost, relative to its size."""
        return float(np.max(np.abs(np.array([self.adaptive, self.finer]) - self.cost)) / max(abs(self.cost), 1e-9))

    @property
    def is_suspicious(self) -> bool:
        """Whether the gap is above SUSPICIOUS, or not even a number."""
        return not self.gap <= SUSPICIOUS


def rescore(task: AbstractTask, policy: AbstractPolicy, starts: Float[np.ndarray, "starts n"]) -> Rescore:
    """The episodes of a trained policy from each of `starts`, scored in three ways.

    The adaptive solution is of the closed loop, so the policy sees its states. A hybrid task is reset at the end of an
    interval, so on the finer grid a reset comes sooner after its cause.
    """
    with jax.enable_x64(True):
        arrays, rest = eqx.partition(policy, eqx.is_inexact_array)
        precise = eqx.combine(jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), arrays), rest)
        # No fewer solver steps an interval than before, also where a long interval had more than `substeps`.
        fine_task = dataclasses.replace(task, num_steps=FINER * task.num_steps, substeps=task.solver_steps)

        @eqx.filter_jit
        def all_three(policy, starts):
            def one(x0):
                own = rollout(task, policy, x0)
                truth = rollout(task, policy, x0, adaptive_transition)
                fine = open_loop(fine_task, jnp.repeat(own.us, FINER, axis=0), x0)
                return own.cost, truth.cost, fine.cost, truth.end_error

            # One after another: under vmap the slowest interval of all would set the adaptive solver's pace.
            return jax.lax.map(one, starts)

        means = [float(np.mean(values)) for values in all_three(precise, jnp.asarray(starts, jnp.float64))]
    return Rescore(*(value if np.isfinite(value) else float("nan") for value in means))
