"""What the released code of Ma et al. (ICML 2024) does and our methods do not: for replication, off by default.

Networks read states and time in their own units (`raw`), and costs are not scaled. The policy is Gaussian, squashed by
tanh, and its loss has a bonus for the entropy H of its actions (`bonus`):

    J(θ) - β mean_t H(π_θ(· | s[t]))        bonus = "mean"
    J(θ) - β Σ_t H(π_θ(· | s[t]))           bonus = "sum", which weighs H times as much over a horizon of H steps
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from baselines.gaussian import TANH_STRETCH, mean_and_log_std, squash, squashed
from baselines.networks import MLP
from baselines.normalisation import Scales, from_unit, observe
from baselines.policies import AbstractNoisyPolicy, FeedbackPolicy
from bench.simulate import clip
from tasks.base import AbstractTask, Scalar

Bonus = Literal["none", "mean", "sum"]


class GaussianPolicy(AbstractNoisyPolicy):
    """u = squash(μ(o) + s(o) e): noise e is in the policy's own deviations; judged without."""

    task: AbstractTask
    scales: Scales
    net: MLP

    def initial(self):
        return ()

    def __call__(self, t, x, carry):
        return self.control(t, x), carry

    def control(self, t, x):
        mean, _ = mean_and_log_std(self._output(t, x))
        return from_unit(self.task, squash(mean))

    def perturbed(self, t, x, noise):
        action, _ = squashed(self._output(t, x), noise)
        return clip(self.task, from_unit(self.task, TANH_STRETCH * action))

    def log_density(self, t: Scalar, x: Float[Array, " n"], noise: Float[Array, " m"]) -> Float[Array, ""]:
        """Return log π(a | o) of the action that the noise draws."""
        return squashed(self._output(t, x), noise)[1]

    def _output(self, t, x):
        return self.net(observe(self.task, self.scales, t, x))


def acting(task: AbstractTask, scales: Scales, net: MLP, bonus: Bonus, open_loop: bool = False) -> AbstractNoisyPolicy:
    """Return the policy of a network: Gaussian where there is a bonus for entropy."""
    if bonus != "none":
        return GaussianPolicy(task, scales, net)
    return FeedbackPolicy(task, scales, net, open_loop=open_loop)


def outputs(task: AbstractTask, bonus: Bonus) -> int:
    """Return the number of outputs of a policy's network."""
    return len(task.controls) * (1 if bonus == "none" else 2)


def noise_memory(bonus: Bonus) -> float:
    """Return the correlation of exploration from one interval to the next: a Gaussian policy draws each anew."""
    return 0.9 if bonus == "none" else 0.0


def entropy_bonus(
    policy: AbstractNoisyPolicy, bonus: Bonus, xs: Float[Array, "steps n"], noise: Float[Array, "steps m"]
) -> Scalar:
    """Return the estimated entropy of a policy's actions in states xs, the mean or the sum over time; else 0."""
    if not isinstance(policy, GaussianPolicy):
        return 0.0
    ts = policy.task.dt * jnp.arange(len(xs))
    entropies = -jax.vmap(policy.log_density)(ts, jax.lax.stop_gradient(xs), noise)
    return jnp.sum(entropies) if bonus == "sum" else jnp.mean(entropies)


def with_scaled_gradient(x: Float[Array, " n"], factor: float) -> Float[Array, " n"]:
    """Return x; its gradient is multiplied by `factor`."""
    return x if factor == 1 else factor * x + (1 - factor) * jax.lax.stop_gradient(x)


def scales_of(
    task: AbstractTask,
    xs: Float[Array, "batch knots n"],
    weights: Float[Array, " batch"] | None = None,
    raw: bool = False,
) -> Scales:
    """Return the scales of trajectories or, if they are to be `raw`, scales that leave states and time as they are."""
    scales = Scales.of(task, xs, weights)
    if not raw:
        return scales
    zero, one = jnp.zeros_like(scales.mean), jnp.ones_like(scales.std)
    return Scales(zero, one, one, scales.low, scales.high, raw=True)


def cost_unit(spread: Float[Array, ""], raw: bool) -> Float[Array, ""]:
    """Return the unit of a loss: the spread of costs or, if costs are to be `raw`, 1."""
    return jnp.ones_like(spread) if raw else spread
