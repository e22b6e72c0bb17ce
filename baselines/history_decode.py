"""The unrolled history model: states decoded one by one with a cache of keys and values, and their gradient by hand.

Differentiating the scan would keep a copy of the cache for every step. A reverse scan that carries the adjoints of all
keys and values would write them all in every step. This one writes rows. For a head with queries q[t] (over √size),
keys k[t], values v[t], weights p[s,t] = exp(q[s] k[t] - l[s]) and mixtures o[s] = Σ_t p[s,t] v[t],

    q̄[t] = Σ_r p[t,r] ō[t] (v[r] - o[t]) k[r]        over the keys up to t (r <= t), all of them in the last cache
    k̄[t] = Σ_s p[s,t] ō[s] (v[t] - o[s]) q[s]        over the queries from t on (s >= t), written by their steps
    v̄[t] = Σ_s p[s,t] ō[s]

where a bar marks an adjoint. Memory is linear in the steps: this is the reverse pass of Dao et al., *FlashAttention*
(NeurIPS 2022), by columns.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@eqx.filter_custom_vjp
def decode(inputs: tuple[Any, Float[Array, " n"], Float[Array, "steps m"], Any]) -> Float[Array, "steps n"]:
    """Return the states after each control, for `inputs` = (a HistoryTransformer, x0, us, observed).

    `observed` is None, or (xs, k) with states xs[0..k-1] after the first k controls, which stand in for the model's.
    The gradient is that of the controls after these and of the states that they lead to.
    """
    return _forward(inputs)[0]


def _forward(inputs):
    model, x0, us, observed = inputs

    def step(carry, inputs):
        u, known = inputs
        carry, x, kept = model.advance_and_keep(carry, u)
        if known is not None:
            x = jnp.where(known[0], known[1], x)
            carry = x, carry[1]
        return carry, (x, kept)

    known = None if observed is None else (jnp.arange(len(us)) < observed[1], observed[0])
    (_, (_, caches)), (xs, kept) = jax.lax.scan(step, model.initial(x0, len(us)), (us, known))
    return xs, (xs, kept, caches)


@decode.def_fwd
def _keep(perturbed, inputs):
    del perturbed
    return _forward(inputs)


@decode.def_bwd
def _reverse(residuals, xs_bar, perturbed, inputs):
    model, x0, us, observed = inputs
    xs, kept, caches = residuals
    moved, held = eqx.partition(model, perturbed[0])  # a model that is not differentiated costs nothing here

    def back(carry, step):
        x_bar, written, model_bar = carry
        t, x, u, (*kept_by_blocks, z), arriving = step
        written = list(written)

        def pull(bar, compute, *read):
            """Return the adjoints of `read` from that of compute(model, *read), and add the model's to model_bar."""
            nonlocal model_bar
            transposed = jax.vjp(lambda moved, *read: compute(eqx.combine(moved, held), *read), moved, *read)[1]
            more, *read_bar = transposed(bar)
            model_bar = jax.tree.map(jnp.add, model_bar, more)
            return read_bar

        x_bar, z_bar = pull(x_bar + arriving, lambda m, x, z: m.next(x, m.net.end(z)), x, z)
        for i in reversed(range(len(kept_by_blocks))):
            z, q, mixed, log_sum = kept_by_blocks[i]
            z_bar, mixed_bar = pull(z_bar, lambda m, z, mixed, i=i: m.net.blocks[i].finish(z, mixed), z, mixed)
            rows = q / math.sqrt(q.shape[-1]), mixed_bar, log_sum, jnp.sum(mixed_bar * mixed, axis=-1)
            written[i] = tuple(each.at[:, t].set(row) for each, row in zip(written[i], rows, strict=True))
            projected_bar = _attention_adjoints(t, *caches[i], *written[i])
            z_bar += pull(projected_bar, lambda m, z, i=i: m.net.blocks[i].project(z), z)[0]
        through, u_bar = pull(z_bar, lambda m, x, u: m.net.begin(m.token(x, u), t[None]), x, u)
        return (x_bar + through, tuple(written), model_bar), u_bar

    written = tuple((keys, keys, keys[:, :, 0], keys[:, :, 0]) for keys, _ in caches)  # their shapes
    zeros = jax.tree.map(jnp.zeros_like, (x0, written, moved))
    steps = (jnp.arange(len(us)), jnp.concatenate([x0[None], xs[:-1]]), us, kept, xs_bar)
    (x0_bar, _, model_bar), us_bar = jax.lax.scan(back, zeros, steps, reverse=True)
    return model_bar, x0_bar, us_bar, jax.tree.map(lambda _: None, observed)


def _attention_adjoints(t, k, v, q, o_bar, log_sum, o_bar_o):
    """Return q̄, k̄ and v̄ at t, "3 heads size", from arrays of all steps, "heads steps ..."; `o_bar_o` is ō[s] o[s]."""
    steps, root = jnp.arange(k.shape[1]), math.sqrt(k.shape[-1])

    def products(matrix, vector):
        return jnp.einsum("hsd,hd->hs", matrix, vector)

    def mix(weights, matrix):
        return jnp.einsum("hs,hsd->hd", weights, matrix)

    row = jnp.where(steps <= t, jnp.exp(products(k, q[:, t]) - log_sum[:, t, None]), 0.0)
    row *= products(v, o_bar[:, t]) - o_bar_o[:, t, None]
    column = jnp.where(steps >= t, jnp.exp(products(q, k[:, t]) - log_sum), 0.0)
    v_bar = mix(column, o_bar)
    column *= products(o_bar, v[:, t]) - o_bar_o
    return jnp.stack([mix(row, k) / root, mix(column, q), v_bar])
