"""How episodes are collected: Ornstein-Uhlenbeck noise around a policy, and warm-up episodes before there is one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from baselines.networks import FeedbackPolicy, Scales, from_unit
from bench.simulate import AbstractPolicy, Trajectory, clip, open_loop
from tasks.base import AbstractTask, Scalar


class Perturbed(AbstractPolicy):
    """Another policy with given noise added to its controls, then clipped to the bounds; noise in half ranges."""

    policy: FeedbackPolicy
    noise: Float[Array, "steps m"]

    def initial(self):
        return jnp.zeros((), jnp.int32)

    def __call__(self, t, x, k):
        scales = self.policy.scales
        noise = self.noise[k] * (scales.high - scales.low) / 2
        return clip(self.policy.task, self.policy.control(t, x) + noise), k + 1


def ou_noise(task: AbstractTask, key: Key[Array, ""], correlation: float = 0.9) -> Float[Array, "steps m"]:
    """Ornstein-Uhlenbeck noise of unit variance, one value per held control (Uhlenbeck & Ornstein, 1930)."""
    return correlated(jr.normal(key, (task.num_steps, len(task.controls))), correlation)


def correlated(white: Float[Array, "steps m"], correlation: Scalar) -> Float[Array, "steps m"]:
    """Independent standard normal draws as a sequence in which each, standard normal still, remembers the last."""

    def step(e, w):
        return (correlation * e + (1 - correlation**2) ** 0.5 * w,) * 2

    return jnp.concatenate([white[:1], jax.lax.scan(step, white[0], white[1:])[1]])


def warmup_episode(task: AbstractTask, key: Key[Array, ""]) -> Trajectory:
    """An episode of a random constant control plus Ornstein-Uhlenbeck noise of half the size of the range's half."""
    level_key, noise_key, start_key = jr.split(key, 3)
    level = jr.uniform(level_key, (len(task.controls),), minval=-1.0, maxval=1.0)
    return open_loop(task, from_unit(task, level + 0.5 * ou_noise(task, noise_key)), task.start(start_key))


def best_level(scales: Scales, batch: Trajectory) -> Float[Array, " m"]:
    """The mean control, in [-1, 1], of the cheapest of a batch of warm-up episodes: where a search may start."""
    cost = jnp.where(jnp.isfinite(batch.cost), batch.cost, jnp.inf)
    return scales.control(jnp.mean(batch.us[jnp.argmin(cost)], axis=0))


class Held(AbstractPolicy):
    """Another policy plus given noise, in half ranges, asked at every `hold`-th interval only and held in between.

    A control on one of many short intervals changes the return by less than chance does; held, its effect can be seen.
    """

    policy: FeedbackPolicy
    noise: Float[Array, "decisions m"]
    hold: int = eqx.field(static=True)

    def initial(self):
        return jnp.zeros((), jnp.int32), jnp.zeros_like(self.noise[0])

    def __call__(self, t, x, carry):
        k, held = carry
        scales = self.policy.scales
        noise = self.noise[k // self.hold] * (scales.high - scales.low) / 2
        u = jnp.where(k % self.hold == 0, self.policy.control(t, x) + noise, held)
        return u, (k + 1, u)
