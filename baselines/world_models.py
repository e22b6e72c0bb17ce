"""The model classes of Ma, Ni, Gehring, D'Oro & Bacon (ICML 2024), side by side under one signature.

    actions world model   x̂[t+1] = x[0] + σ g(x[0], u[0..t])          transformer, recurrent cell or state space
    history world model   x̂[t+1] = x̂[t] + σ_Δ g(x̂[0..t], u[0..t])     transformer; unrolled, it reads its predictions
    one-step model        x̂[t+1] = x̂[t] + σ_Δ g(x̂[t], u[t])           MLP

`incremental` chooses the other target: for the first x̂[t+1] = x̂[t] + σ_Δ g(x[0], u[0..t]), where x̂[t] enters as a term
of a sum and through no function; for the other two x̂[t+1] = μ + σ g(...).

An unrolled actions model has no path from a late state to an early control through predicted states. The other two
have such paths. Callers give and get physical units; networks work in normalised ones (`Scales`): σ and σ_Δ are the
standard deviations of states and of their increments, μ is the mean of the states.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from baselines.abstract_models import AbstractActionsSequence, AbstractStateModel, unroll
from baselines.attention import CausalTransformer, Heads
from baselines.history_decode import decode
from baselines.networks import MLP
from baselines.normalisation import Scales
from baselines.replication import with_scaled_gradient
from bench.settings import Count, Depth, NotNegative, Share, Width


def causal_transformer(
    scales: Scales, width: int, depth: int, heads: int, expansion: int, key: Key[Array, ""]
) -> CausalTransformer:
    """Return a transformer whose tokens are a state and a control each, and whose outputs are of a state's shape."""
    n, m = len(scales.mean), len(scales.low)
    return CausalTransformer(n + m, n, width, depth, heads, expansion, key=key)


class ActionsTransformer(AbstractActionsSequence):
    """AWM: causal self-attention over the controls, each token joined by the first state.

    An `expansion` of 1 instead of the usual 4 scores as well on the tuning tasks, at half the products.
    """

    scales: Scales
    net: CausalTransformer
    increments: NotNegative = eqx.field(static=True)
    incremental: bool = eqx.field(static=True)

    def __init__(
        self,
        scales: Scales,
        *,
        width: Width = 64,
        depth: Depth = 2,
        heads: Heads = 2,
        expansion: Count = 1,
        increments: NotNegative = 1.0,
        incremental: bool = False,
        key: Key[Array, ""],
    ):
        self.scales, self.net = scales, causal_transformer(scales, width, depth, heads, expansion, key)
        self.increments, self.incremental = increments, incremental


class HistoryTransformer(AbstractStateModel):
    """HWM: causal self-attention over states and controls, fitted on true states, unrolled on its own predictions.

    `cut_predictions` stops the gradient through the predicted states that the network reads. This is the paper's
    ablation, which leaves only the direct paths from controls to increments.
    """

    scales: Scales
    net: CausalTransformer
    cut_predictions: bool = eqx.field(static=True)
    incremental: bool = eqx.field(static=True)

    def __init__(
        self,
        scales: Scales,
        *,
        width: Width = 64,
        depth: Depth = 2,
        heads: Heads = 2,
        expansion: Count = 4,
        cut_predictions: bool = False,
        incremental: bool = True,
        key: Key[Array, ""],
    ):
        self.scales, self.net = scales, causal_transformer(scales, width, depth, heads, expansion, key)
        self.cut_predictions, self.incremental = cut_predictions, incremental

    def __call__(self, x0, us):
        return decode((self, x0, us, None))

    def forecast(self, xs, us, k):
        return decode((self, xs[0], us, (xs[1:], k)))

    def residuals(self, xs, us):
        return self.net(self.scales.pair(xs[:-1], us)) - self.target(xs)

    def initial(self, x0, steps):
        return x0, self.net.initial(steps)

    def advance(self, carry, u):
        return self.advance_and_keep(carry, u)[:2]

    def advance_and_keep(self, carry: Any, u: Float[Array, " m"]) -> tuple[Any, Float[Array, " n"], tuple]:
        """Return the results of `advance`, and the values that the network's `step` keeps for a reverse pass."""
        x, cache = carry
        cache, output, kept = self.net.step(cache, self.token(x, u))
        x = self.next(x, output)
        return (x, cache), x, kept

    def token(self, x: Float[Array, " n"], u: Float[Array, " m"]) -> Float[Array, " inputs"]:
        """Return the network's input at a state and a control of an unrolled trajectory."""
        return self.scales.pair(jax.lax.stop_gradient(x) if self.cut_predictions else x, u)


class OneStep(AbstractStateModel):
    """Markov model: an MLP on state increments.

    `state_gradient` multiplies the gradient through each predicted state that is read: 1, but for replication.
    """

    scales: Scales
    net: MLP
    incremental: bool = eqx.field(static=True)
    state_gradient: float = eqx.field(static=True)

    def __init__(
        self,
        scales: Scales,
        *,
        width: Width = 128,
        depth: Depth = 2,
        incremental: bool = True,
        state_gradient: Share = 1.0,
        key: Key[Array, ""],
    ):
        n, m = len(scales.mean), len(scales.low)
        self.scales, self.net = scales, MLP((n + m, *[width] * depth, n), key=key)
        self.incremental, self.state_gradient = incremental, state_gradient

    def __call__(self, x0, us):
        return unroll(self, x0, us)

    def residuals(self, xs, us):
        return jax.vmap(self.net)(self.scales.pair(xs[:-1], us)) - self.target(xs)

    def initial(self, x0, steps):
        return x0

    def advance(self, carry, u):
        read = with_scaled_gradient(carry, self.state_gradient)
        x = self.next(read, self.net(self.scales.pair(read, u)))
        return x, x

    def forecast(self, xs, us, k):
        def step(x, inputs):
            i, observed, u = inputs
            return self.advance(jnp.where(i <= k, observed, x), u)

        return jax.lax.scan(step, xs[0], (jnp.arange(len(us)), xs[:-1], us))[1]
