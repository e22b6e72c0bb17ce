"""A decision transformer: a policy that reads an episode so far and plays for a given return (Chen et al., 2021).

At decision k it reads the token (g_k, o_k, a_{k-1}) and answers with a Gaussian over the next action, in half ranges.
g is the return-to-go, the return that is still to come, and o = (state, time). During an episode g comes from the known
running cost, by the trapezoid rule.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from baselines.attention import CausalTransformer
from baselines.exploration import size_of_spread
from baselines.gaussian import mean_and_log_std
from baselines.normalisation import Scales, from_unit, observe
from baselines.replay_buffer import Replay
from bench.simulate import AbstractPolicy, clip
from tasks.base import AbstractTask, Scalar


class Returns(eqx.Module):
    """Location and size of the returns in a replay buffer, the units of returns-to-go, and the best return."""

    mean: Float[Array, ""]
    std: Float[Array, ""]
    best: Float[Array, ""]

    @classmethod
    def of(cls, replay: Replay) -> "Returns":
        returns, weights = -jnp.sum(replay.costs, axis=1), replay.filled
        mean = jnp.sum(weights * returns) / jnp.sum(weights)
        std = jnp.sqrt(jnp.sum(weights * (returns - mean) ** 2) / jnp.sum(weights))
        best = jnp.max(jnp.where(weights > 0, returns, -jnp.inf))
        return cls(mean, size_of_spread(std, mean), best)


def token(
    task: AbstractTask,
    scales: Scales,
    returns: Returns,
    t: Scalar,
    to_go: Float[Array, ""],
    x: Float[Array, " n"],
    u: Float[Array, " m"],
) -> Float[Array, " token"]:
    """Return the token of a decision at time t in state x: the return-to-go, the observation, the control before, u."""
    to_go = (to_go - returns.mean) / returns.std
    return jnp.concatenate([to_go[None], observe(task, scales, t, x), scales.control(u)])


class ReturnConditioned(AbstractPolicy):
    """The policy π that plays for a return `target`. `noise` is in deviations of π; zeros give the mean of π."""

    task: AbstractTask
    scales: Scales
    returns: Returns
    transformer: CausalTransformer
    target: Float[Array, ""]
    noise: Float[Array, "decisions m"]
    hold: int = eqx.field(static=True)  # intervals per decision

    def initial(self):
        x, u = jnp.zeros_like(self.scales.mean), from_unit(self.task, jnp.zeros_like(self.noise[0]))
        return self.transformer.initial(len(self.noise)), x, u, self.target

    def __call__(self, t, x, carry):
        cache, x_last, u_last, to_go = carry
        # Not a counter: episodes side by side all know from the time when to decide.
        k = jnp.round(t / self.task.dt).astype(int)
        rate = self.task.running_cost(t - self.task.dt, x_last, u_last) + self.task.running_cost(t, x, u_last)
        to_go = to_go + jnp.where(k > 0, rate * self.task.dt / 2, 0.0)  # a cost that was paid is still to be gained

        def decide(cache):
            read = token(self.task, self.scales, self.returns, t, to_go, x, u_last)
            cache, output, _ = self.transformer.step(cache, read)
            mean, log_std = mean_and_log_std(output)
            return cache, clip(self.task, from_unit(self.task, mean + jnp.exp(log_std) * self.noise[k // self.hold]))

        cache, u = jax.lax.cond(k % self.hold == 0, decide, lambda cache: (cache, u_last), cache)
        return u, (cache, x, u, to_go)
