"""Critics: targets for the cost or reward that is still to come, and a critic in units of its targets."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from baselines.exploration import size_of_spread
from baselines.networks import MLP
from tasks.base import Scalar


class RescaledCritic(eqx.Module):
    """V(k, o) = mean[k] + std * net(o): the cost to go before interval k, in units that follow its targets."""

    net: MLP
    mean: Float[Array, " steps"]
    std: Float[Array, ""]

    def __call__(self, k: Int[Array, ""], observation: Float[Array, " obs"]) -> Float[Array, ""]:
        return self.mean[k] + self.std * self.net(observation)[0]

    def rescaled(self, to_go: Float[Array, "episodes steps"]) -> "RescaledCritic":
        """Return the same function of the observation around the mean of costs to go, in units of their spread.

        The output layer is rescaled when the unit changes (PopArt: van Hasselt et al., 2016, arXiv:1602.07714). The
        unit falls to no less than a half at once.
        """
        mean, spread = location_and_spread(to_go)
        std = jnp.maximum(spread, self.std / 2)
        last = self.net.layers[-1]
        new = self.std / std * last.weight, self.std / std * jnp.asarray(last.bias)
        net = eqx.tree_at(lambda n: (n.layers[-1].weight, n.layers[-1].bias), self.net, new)
        return RescaledCritic(net, mean, std)


def location_and_spread(to_go: Float[Array, "episodes steps"]) -> tuple[Float[Array, " steps"], Float[Array, ""]]:
    """Return the mean over episodes for each interval, and the standard deviation around it over all intervals."""
    mean = jnp.mean(to_go, axis=0)
    return mean, size_of_spread(jnp.sqrt(jnp.mean((to_go - mean) ** 2)), jnp.mean(jnp.abs(mean)))


def evaluate(critic: MLP, observations: Float[Array, "*batch obs"]) -> Float[Array, "*batch"]:
    """Return the first output of a network for each observation of a batch."""
    return jnp.vectorize(lambda o: critic(o)[0], signature="(o)->()")(observations)


def action_values(
    critics: MLP, observations: Float[Array, "batch obs"], actions: Float[Array, "batch m"]
) -> Float[Array, "critics batch"]:
    """Return the values Q(o, a) of a batch by several critics, which are stacked along a leading axis."""
    inputs = jnp.concatenate([observations, actions], -1)
    return eqx.filter_vmap(lambda critic: jax.vmap(critic)(inputs)[:, 0])(critics)


def lambda_returns(
    costs: Float[Array, " steps"], after: Float[Array, " steps"], trace: Scalar
) -> Float[Array, " steps"]:
    """Return the TD(λ) targets of an episode's costs; `after` has the value after each interval, 0 after the last."""

    def backwards(later, inputs):
        cost, value = inputs
        later = cost + (1 - trace) * value + trace * later
        return later, later

    return jax.lax.scan(backwards, after[-1], (costs, after), reverse=True)[1]


def advantages(
    rewards: Float[Array, "episodes decisions"], values: Float[Array, "episodes decisions"], trace: Scalar
) -> Float[Array, "episodes decisions"]:
    """Return generalised advantages, without a value after the last decision (Schulman et al., arXiv:1506.02438)."""
    following = jnp.pad(values[:, 1:], ((0, 0), (0, 1)))

    def accumulate(later, surprise):
        later = surprise + trace * later
        return later, later

    surprises = (rewards + following - values).T
    return jax.lax.scan(accumulate, jnp.zeros(len(rewards)), surprises, reverse=True)[1].T
