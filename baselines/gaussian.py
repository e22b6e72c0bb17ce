"""Gaussian actions, in half ranges of the controls: clipped to the bounds, or squashed into them by tanh."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.stats import norm
from jaxtyping import Array, Float, Key

from baselines.networks import MLP
from baselines.normalisation import project

MEAN_BOUND = 2.0  # largest size of the mean of a clipped action, in half ranges
TANH_STRETCH = 1.1  # tanh never reaches 1, and many optimal controls lie on their bounds: actions beyond are clipped
MIN_LOG_STD, MAX_LOG_STD = -5.0, 2.0


class BoundedGaussian(eqx.Module):
    """A policy a ~ N(μ(o), s²) whose mean is projected on MEAN_BOUND times the bounds; the simulator clips a."""

    net: MLP  # observation -> mean before it is projected
    log_std: Float[Array, " m"]

    def mean(self, observations: Float[Array, "*batch obs"]) -> Float[Array, "*batch m"]:
        return bounded_mean(jnp.vectorize(self.net, signature="(o)->(m)")(observations))

    def log_density(
        self, observations: Float[Array, "*batch obs"], actions: Float[Array, "*batch m"]
    ) -> Float[Array, "*batch"]:
        """Return log π(a | o) of actions that are not clipped, up to a constant."""
        z = (actions - self.mean(observations)) / jnp.exp(self.log_std)
        return -jnp.sum(z**2 / 2 + self.log_std, axis=-1)

    def divergence(self, new: "BoundedGaussian", observations: Float[Array, "*batch obs"]) -> Float[Array, ""]:
        """Return the mean over a batch of KL(π || π_new)."""
        shift = self.mean(observations) - new.mean(observations)
        ratio = jnp.exp(2 * (self.log_std - new.log_std))
        terms = new.log_std - self.log_std + (ratio + (shift / jnp.exp(new.log_std)) ** 2 - 1) / 2
        return jnp.mean(jnp.sum(terms, axis=-1))


def bounded_mean(a: Float[Array, "*batch m"]) -> Float[Array, "*batch m"]:
    """Project means on MEAN_BOUND times the bounds, which are -1 and 1."""
    return MEAN_BOUND * project(a / MEAN_BOUND)


def clipped_mean(mean: Float[Array, " m"], std: Float[Array, " m"]) -> Float[Array, " m"]:
    """Return E clip(a, -1, 1) for a ~ N(mean, std²)."""
    low, high = (-1 - mean) / std, (1 - mean) / std
    inside = mean * (norm.cdf(high) - norm.cdf(low)) + std * (norm.pdf(low) - norm.pdf(high))
    return inside + norm.cdf(-high) - norm.cdf(low)


def mean_and_log_std(output: Float[Array, " outputs"]) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Split a network's output into the mean and the log standard deviation of an action."""
    mean, log_std = jnp.split(output, 2)
    return mean, jnp.clip(log_std, MIN_LOG_STD, MAX_LOG_STD)


def squash(a: Float[Array, " m"]) -> Float[Array, " m"]:
    """Return the control, in [-1, 1], of an action before squashing."""
    return jnp.clip(TANH_STRETCH * jnp.tanh(a), -1.0, 1.0)


def sample_squashed(
    actor: MLP, observation: Float[Array, " obs"], key: Key[Array, ""]
) -> tuple[Float[Array, " m"], Float[Array, ""]]:
    """Draw tanh of a Gaussian action, and return it with its log density (Haarnoja et al., 2018, appendix C)."""
    output = actor(observation)
    return squashed(output, jr.normal(key, (len(output) // 2,)))


def squashed(
    output: Float[Array, " outputs"], noise: Float[Array, " m"]
) -> tuple[Float[Array, " m"], Float[Array, ""]]:
    """Return tanh of the Gaussian action that standard normal noise draws, and its log density."""
    mean, log_std = mean_and_log_std(output)
    before = mean + jnp.exp(log_std) * noise
    gaussian = -0.5 * noise**2 - log_std - 0.5 * jnp.log(2 * jnp.pi)
    log_slope = 2 * (jnp.log(2.0) - before - jax.nn.softplus(-2 * before))  # log of tanh', without overflow
    return jnp.tanh(before), jnp.sum(gaussian - log_slope)
