"""States of a history model decoded one by one with a cache of keys and values, and their gradient by hand.

Differentiating the scan would keep a copy of the cache for every step; a reverse scan that carries the adjoints of all
keys and values would write them all in every step. This one writes rows. For a head with queries q[t] (over √size),
keys k[t], values v[t], weights p[s,t] = exp(q[s] k[t] - l[s]) and mixtures o[s] = Σ_t p[s,t] v[t],

    q̄[t] = Σ_r p[t,r] ō[t] (v[r] - o[t]) k[r]        over the keys up to its own, r <= t: the last cache has them all
    k̄[t] = Σ_s p[s,t] ō[s] (v[t] - o[s]) q[s]        over the queries from its own on, s >= t: their steps left them
    v̄[t] = Σ_s p[s,t] ō[s]

in memory that is linear in the steps: the reverse pass of Dao et al., *FlashAttention* (NeurIPS 2022), by columns.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@eqx.filter_custom_vjp
def decode(inputs: tuple[Any, Float[Array, " n"], Float[Array, "steps m"]]) -> Float[Array, "steps n"]:
    """The states after each control, of `inputs` = (a HistoryTransformer, x0, us)."""
    return _forward(inputs)[0]


def _forward(inputs):
    model, x0, us = inputs

    def step(carry, u):
        carry, x, kept = model.advance_and_keep(carry, u)
        return carry, (x, kept)

    (_, (_, caches)), (xs, kept) = jax.lax.scan(step, model.initial(x0, len(us)), us)
    return xs, (xs, kept, caches)


@decode.def_fwd
def _keep(perturbed, inputs):
    del perturbed
    return _forward(inputs)


@decode.def_bwd
def _reverse(residuals, adjoints, perturbed, inputs):
    model, x0, us = inputs
    xs, kept, caches = residuals
    moved, held = eqx.partition(model, perturbed[0])  # a model that is not differentiated costs nothing here

    def back(carry, step):
        adjoint, left, of_model = carry
        t, x, u, (*of_blocks, z), arriving = step
        left = list(left)

        def pull(of, compute, *read):
            """The adjoints of what compute(model, *read) reads, from that of what it gives; the model's add up."""
            nonlocal of_model
            transposed = jax.vjp(lambda moved, *read: compute(eqx.combine(moved, held), *read), moved, *read)[1]
            more, *of_read = transposed(of)
            of_model = jax.tree.map(jnp.add, of_model, more)
            return of_read

        of_x, of_z = pull(adjoint + arriving, lambda m, x, z: m.next(x, m.net.end(z)), x, z)
        for i in reversed(range(len(of_blocks))):
            z, q, mixed, log_sum = of_blocks[i]
            of_z, of_mixed = pull(of_z, lambda m, z, mixed, i=i: m.net.blocks[i].finish(z, mixed), z, mixed)
            rows = q / math.sqrt(q.shape[-1]), of_mixed, log_sum, jnp.sum(of_mixed * mixed, axis=-1)
            left[i] = tuple(each.at[:, t].set(row) for each, row in zip(left[i], rows, strict=True))
            of_projected = _attention(t, *caches[i], *left[i])
            of_z += pull(of_projected, lambda m, z, i=i: m.net.blocks[i].project(z), z)[0]
        through, of_u = pull(of_z, lambda m, x, u: m.net.begin(m.token(x, u), t[None]), x, u)
        return (of_x + through, tuple(left), of_model), of_u

    left = tuple((keys, keys, keys[:, :, 0], keys[:, :, 0]) for keys, _ in caches)  # their shapes
    zeros = jax.tree.map(jnp.zeros_like, (x0, left, moved))
    steps = (jnp.arange(len(us)), jnp.concatenate([x0[None], xs[:-1]]), us, kept, adjoints)
    (of_x0, _, of_model), of_us = jax.lax.scan(back, zeros, steps, reverse=True)
    return of_model, of_x0, of_us


def _attention(t, k, v, q, of_o, log_sum, of_o_o):
    """q̄, k̄ and v̄ at t, "3 heads size", from the arrays of all steps, "heads steps ..."; `of_o_o` is ō[s] o[s]."""
    steps, root = jnp.arange(k.shape[1]), math.sqrt(k.shape[-1])

    def products(matrix, vector):
        return jnp.einsum("hsd,hd->hs", matrix, vector)

    def mix(weights, matrix):
        return jnp.einsum("hs,hsd->hd", weights, matrix)

    row = jnp.where(steps <= t, jnp.exp(products(k, q[:, t]) - log_sum[:, t, None]), 0.0)
    row *= products(v, of_o[:, t]) - of_o_o[:, t, None]
    column = jnp.where(steps >= t, jnp.exp(products(q, k[:, t]) - log_sum), 0.0)
    of_v = mix(column, of_o)
    column *= products(of_o, v[:, t]) - of_o_o
    return jnp.stack([mix(row, k) / root, mix(column, q), of_v])
