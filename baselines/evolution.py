"""Evolution: CMA-ES on the weights of a linear policy (Hansen & Ostermeier, 2001; Hansen, arXiv:1604.00772).

A step draws λ policies around the mean m and runs each for one episode from the same start. The best μ = λ / 2 of them,
in order, y_i = (θ_i - m) / σ, and logarithmic weights w then give the next distribution:

    θ_i ~ N(m, σ² C),      m ← m + σ y,   y = Σ w_i y_i
    p_σ ← (1 - c_σ) p_σ + √(c_σ (2 - c_σ) μ_w) L⁻¹ y,      σ ← σ exp(c_σ / d_σ (|p_σ| / E|N(0, I)| - 1)),   C = L Lᵀ
    p_c ← (1 - c_c) p_c + √(c_c (2 - c_c) μ_w) y,          C ← (1 - c_1 - c_μ) C + c_1 p_c p_cᵀ + c_μ Σ w_i y_i y_iᵀ

The policy is u = θ (o, 1), o = (state, time, time²), projected on the bounds. It has `m (n + 3)` weights, since the few
episodes of a budget cannot move the thousands of a network; where they can, `width` gives it a hidden layer. The judged
policy is the mean m. It starts as a constant, the average control of the best warm-up episode. A step spends λ
episodes, `init` spends `warmup`.
"""

import math
from typing import Annotated, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from baselines.exploration import best_level, warm_up
from baselines.networks import MLP, with_output_bias
from baselines.normalisation import Scales
from baselines.policies import FeedbackPolicy
from baselines.schedules import with_warmup
from bench.budget import Usage
from bench.method import AbstractBudgetedMethod, Between
from bench.settings import Count, Positive, Within
from bench.simulate import rollout
from tasks.base import Scalar


class SearchDistribution(eqx.Module):
    """N(mean, σ² C) and the two evolution paths, over d weights."""

    mean: Float[Array, " d"]
    sigma: Float[Array, ""]
    covariance: Float[Array, "d d"]
    path: Float[Array, " d"]  # p_c
    sigma_path: Float[Array, " d"]  # p_σ

    @classmethod
    def around(cls, mean: Float[Array, " d"], sigma: Scalar) -> "SearchDistribution":
        """Return the first distribution: C = I, and paths of 0."""
        zero = jnp.zeros_like(mean)
        return cls(mean, jnp.asarray(sigma, mean.dtype), jnp.eye(len(mean)), zero, zero)

    def candidates(self, normal: Float[Array, "population d"]) -> Float[Array, "population d"]:
        """Turn independent standard normal draws into weights."""
        return self.mean + self.sigma * normal @ jnp.linalg.cholesky(self.covariance).T

    def update(self, thetas: Float[Array, "population d"], costs: Float[Array, " population"]) -> "SearchDistribution":
        """Return the next distribution. Its constants are of Hansen's tutorial, table 1, with positive weights only."""
        population, d = thetas.shape
        mu = population // 2
        raw = math.log((population + 1) / 2) - jnp.log(jnp.arange(1, mu + 1))
        w = raw / jnp.sum(raw)
        mu_w = 1 / jnp.sum(w**2)
        c_sigma = (mu_w + 2) / (d + mu_w + 5)
        d_sigma = 1 + 2 * jnp.maximum(0.0, jnp.sqrt((mu_w - 1) / (d + 1)) - 1) + c_sigma
        c_c = (4 + mu_w / d) / (d + 4 + 2 * mu_w / d)
        c_1 = 2 / ((d + 1.3) ** 2 + mu_w)
        c_mu = jnp.minimum(1 - c_1, 2 * (mu_w - 2 + 1 / mu_w) / ((d + 2) ** 2 + mu_w))

        # A cost that is not finite ranks last.
        best = jnp.argsort(jnp.where(jnp.isfinite(costs), costs, jnp.inf))[:mu]
        ys = (thetas[best] - self.mean) / self.sigma
        y = w @ ys
        whitened = solve_triangular(jnp.linalg.cholesky(self.covariance), y, lower=True)
        sigma_path = (1 - c_sigma) * self.sigma_path + jnp.sqrt(c_sigma * (2 - c_sigma) * mu_w) * whitened
        path = (1 - c_c) * self.path + jnp.sqrt(c_c * (2 - c_c) * mu_w) * y
        covariance = (
            (1 - c_1 - c_mu) * self.covariance
            + c_1 * jnp.outer(path, path)
            + c_mu * jnp.einsum("i,ij,ik->jk", w, ys, ys)
        )
        mean_length = math.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2))  # E|N(0, I)|
        sigma = self.sigma * jnp.exp(c_sigma / d_sigma * (jnp.linalg.norm(sigma_path) / mean_length - 1))
        return SearchDistribution(self.mean + self.sigma * y, sigma, covariance, path, sigma_path)


class EvolutionState(eqx.Module):
    search: SearchDistribution
    scales: Scales


class Evolution(AbstractBudgetedMethod[EvolutionState]):
    """The same population and first step size on every task."""

    search: ClassVar = {
        "population": Between(4, 12),
        "sigma": Between(0.03, 1.0, log=True),
        "warmup": Between(2, 15),
    }

    population: Annotated[int, Within(4, 10**6)] = 4  # λ, at least 4
    sigma: Positive = 0.0626  # at the start, in half ranges of the controls
    width: Annotated[int, Within(0, 2**14)] = 0  # units in a hidden layer; 0 for none
    warmup: Count = 13  # episodes

    def usage(self, task):
        return Usage(self.population * task.num_steps, init_env_steps=self.warmup * task.num_steps, updates=1)

    def within(self, task, budget):
        return with_warmup(self, self.warmup, task, budget)

    def init(self, task, key):
        warmup_key, net_key = jr.split(key)
        episodes = warm_up(task, warmup_key, self.warmup)
        scales = Scales.of(task, episodes.xs)
        net = with_output_bias(self._net(task, net_key), best_level(scales, episodes))
        return EvolutionState(SearchDistribution.around(ravel_pytree(net)[0], self.sigma), scales)

    def step(self, task, state, key):
        draw_key, start_key = jr.split(key)
        thetas = state.search.candidates(jr.normal(draw_key, (self.population, len(state.search.mean))))
        x0 = task.start(start_key)
        costs = jax.vmap(lambda theta: rollout(task, self._policy(task, state.scales, theta), x0).cost)(thetas)
        return EvolutionState(state.search.update(thetas, costs), state.scales)

    def policy(self, task, state):
        return self._policy(task, state.scales, state.search.mean)

    def _policy(self, task, scales, theta):
        _, unravel = ravel_pytree(self._net(task, jr.key(0)))  # for the shapes only
        return FeedbackPolicy(task, scales, unravel(theta))

    def _net(self, task, key):
        hidden = (self.width,) if self.width else ()
        return MLP((len(task.states) + 2, *hidden, len(task.controls)), output_scale=0.0, key=key)
