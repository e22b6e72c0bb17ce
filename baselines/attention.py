"""A causal transformer small enough for a CPU, in two forms that compute the same: a whole sequence at once, and token
by token with a cache of keys and values.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from baselines.networks import scaled


class Block(eqx.Module):
    """A pre-norm transformer block: causal self-attention, then a ReLU layer (Vaswani et al. 2017; Xiong et al. 2020).

    Queries, keys and values come from one product.
    """

    norm_attention: eqx.nn.LayerNorm
    norm_mlp: eqx.nn.LayerNorm
    qkv: eqx.nn.Linear
    out: eqx.nn.Linear
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, *, key: Key[Array, ""]):
        keys = jr.split(key, 4)
        self.norm_attention = eqx.nn.LayerNorm(width)
        self.norm_mlp = eqx.nn.LayerNorm(width)
        self.qkv = eqx.nn.Linear(width, 3 * width, use_bias=False, key=keys[0])
        self.out = eqx.nn.Linear(width, width, key=keys[1])
        self.up = eqx.nn.Linear(width, 4 * width, key=keys[2])
        self.down = eqx.nn.Linear(4 * width, width, key=keys[3])
        self.heads = heads

    def __call__(self, z: Float[Array, "steps width"]) -> Float[Array, "steps width"]:
        q, k, v = jax.vmap(self._qkv)(z)
        mixed = _attend(q, k, v, jnp.tril(jnp.ones((len(z), len(z)), bool)))
        return jax.vmap(self._finish)(z, mixed)

    def step(self, z: Float[Array, " width"], cache: tuple, t: Int[Array, ""]) -> tuple[Float[Array, " width"], tuple]:
        q, k, v = self._qkv(z)
        keys, values = cache[0].at[t].set(k), cache[1].at[t].set(v)
        mixed = _attend(q[None], keys, values, (jnp.arange(len(keys)) <= t)[None])
        return self._finish(z, mixed[0]), (keys, values)

    def _qkv(self, z):
        return jnp.split(self.qkv(self.norm_attention(z)).reshape(3 * self.heads, -1), 3)

    def _finish(self, z, mixed):
        z = z + self.out(mixed.reshape(-1))
        return z + self.down(jax.nn.relu(self.up(self.norm_mlp(z))))


def _attend(q, k, v, mask):
    """Scaled dot-product attention of "queries heads size" over "keys heads size". The softmax's sum divides
    last, the mixed values and not every weight, which is cheaper."""
    logits = jnp.einsum("qhd,khd->hqk", q / math.sqrt(q.shape[-1]), k) + jnp.where(mask, 0.0, -jnp.inf).astype(q.dtype)
    weights = jnp.exp(logits - jax.lax.stop_gradient(jnp.max(logits, -1, keepdims=True)))
    return jnp.einsum("hqk,khd->qhd", weights, v) / jnp.sum(weights, -1).T[..., None]


class CausalTransformer(eqx.Module):
    """Blocks between a linear embedding with fixed sinusoidal positions and a small linear read-out."""

    embed: eqx.nn.Linear
    blocks: tuple[Block, ...]
    norm: eqx.nn.LayerNorm
    read: eqx.nn.Linear

    def __init__(self, inputs: int, outputs: int, width: int, depth: int, heads: int, *, key: Key[Array, ""]):
        if width % (2 * heads):
            raise ValueError(f"width must be a multiple of 2 * heads, got width={width} and heads={heads}.")
        keys = jr.split(key, depth + 2)
        self.embed = eqx.nn.Linear(inputs, width, key=keys[0])
        self.blocks = tuple(Block(width, heads, key=k) for k in keys[1:-1])
        self.norm = eqx.nn.LayerNorm(width)
        self.read = scaled(eqx.nn.Linear(width, outputs, key=keys[-1]), 0.1)

    def __call__(self, tokens: Float[Array, "steps inputs"]) -> Float[Array, "steps outputs"]:
        z = jax.vmap(self.embed)(tokens) + self._positions(jnp.arange(len(tokens))[:, None])
        for block in self.blocks:
            z = block(z)
        return jax.vmap(lambda zt: self.read(self.norm(zt)))(z)

    def initial(self, steps: int) -> tuple:
        """An empty cache of keys and values for `steps` tokens, and the position 0."""
        width, heads = self.embed.out_features, self.blocks[0].heads
        empty = jnp.zeros((steps, heads, int(width) // heads), self.embed.weight.dtype)
        return jnp.zeros((), jnp.int32), tuple((empty, empty) for _ in self.blocks)

    def step(self, carry: tuple, token: Float[Array, " inputs"]) -> tuple[tuple, Float[Array, " outputs"]]:
        t, caches = carry
        z = self.embed(token) + self._positions(t[None])
        new = []
        for block, cache in zip(self.blocks, caches, strict=True):
            z, cache = block.step(z, cache, t)
            new.append(cache)
        return (t + 1, tuple(new)), self.read(self.norm(z))

    def _positions(self, t):
        half = int(self.embed.out_features) // 2
        angle = t * 1e4 ** (-jnp.arange(half) / half)
        return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1).astype(self.embed.weight.dtype)
