"""States decoded one by one with a cache of keys and values, with a gradient whose memory is linear in the steps.

Step t of a history model appends its keys and values to the cache and reads those before it,

    x[t+1], k[t], v[t] = f(x[t], u[t], k[0..t-1], v[0..t-1])

so that differentiating the scan would keep a copy of the cache for every step. The reverse pass here reads the last
cache, of which step t masks what came after it, and carries the adjoints of the state and of all keys and values:

    (x̄[t], ū[t], k̄[0..t-1], v̄[0..t-1]) += (∂f / ∂(x, u, k, v))ᵀ (x̄[t+1], k̄[t], v̄[t])        for t = H-1, ..., 0
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@eqx.filter_custom_vjp
def decode(inputs: tuple[Any, Float[Array, " n"], Float[Array, "steps m"]]) -> Float[Array, "steps n"]:
    """The states after each control, of `inputs` = (model, x0, us). The model's carry is (state, (step, caches))."""
    return _forward(inputs)[0]


def _forward(inputs):
    model, x0, us = inputs
    (_, (_, caches)), xs = jax.lax.scan(lambda carry, u: model.advance(carry, u), model.initial(x0, len(us)), us)
    return xs, caches


@decode.def_fwd
def _keep(perturbed, inputs):
    del perturbed
    xs, caches = _forward(inputs)
    return xs, (xs, caches)


@decode.def_bwd
def _reverse(residuals, adjoints, perturbed, inputs):
    model, x0, us = inputs
    xs, caches = residuals
    moved, held = eqx.partition(model, perturbed[0])  # a model that is not differentiated costs nothing here

    def back(carry, step):
        adjoint, of_caches, of_model = carry
        t, x, u, arriving = step

        def advance(moved, x, caches, u):
            (x, (_, caches)), _ = eqx.combine(moved, held).advance((x, (t, caches)), u)
            return x, caches

        transposed = jax.vjp(advance, moved, x, caches, u)[1]
        more, adjoint, of_caches, of_u = transposed((adjoint + arriving, of_caches))
        return (adjoint, of_caches, jax.tree.map(jnp.add, of_model, more)), of_u

    zeros = jax.tree.map(jnp.zeros_like, (x0, caches, moved))
    steps = (jnp.arange(len(us)), jnp.concatenate([x0[None], xs[:-1]]), us, adjoints)
    (of_x0, _, of_model), of_us = jax.lax.scan(back, zeros, steps, reverse=True)
    return of_model, of_x0, of_us
