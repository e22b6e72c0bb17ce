"""A causal transformer small enough for a CPU, in two forms that compute the same: a whole sequence at once, and token
by token with a cache of keys and values.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from baselines.networks import Linear, scaled

BLOCK = 128  # positions: up to here one product over all pairs is faster than blocks


class LayerNorm(eqx.Module):
    """(z - mean z) / √(var z + ε) * weight + bias over the last axis (Ba, Kiros & Hinton, 2016), written for the least
    passes over memory: with `eqx.nn.LayerNorm` a fit takes a fifth longer."""

    weight: Float[Array, " width"]
    bias: Float[Array, " width"]

    def __init__(self, width: int):
        self.weight, self.bias = jnp.ones(width), jnp.zeros(width)

    def __call__(self, z: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
        centred = z - jnp.mean(z, axis=-1, keepdims=True)
        variance = jnp.mean(centred**2, axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + 1e-5) * self.weight + self.bias


class Block(eqx.Module):
    """A pre-norm transformer block: causal self-attention, then a ReLU layer (Vaswani et al. 2017; Xiong et al. 2020).

    Queries, keys and values come from one product; the ReLU layer is `expansion` times as wide as the block.
    """

    norm_attention: LayerNorm
    norm_mlp: LayerNorm
    qkv: Linear
    out: Linear
    up: Linear
    down: Linear
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, expansion: int, *, key: Key[Array, ""]):
        keys = jr.split(key, 4)
        self.norm_attention = LayerNorm(width)
        self.norm_mlp = LayerNorm(width)
        self.qkv = Linear(width, 3 * width, use_bias=False, key=keys[0])
        self.out = Linear(width, width, key=keys[1])
        self.up = Linear(width, expansion * width, key=keys[2])
        self.down = Linear(expansion * width, width, key=keys[3])
        self.heads = heads

    def __call__(self, z: Float[Array, "steps width"]) -> Float[Array, "steps width"]:
        q, k, v = jnp.moveaxis(self._qkv(z), 0, 2)
        return self._finish(z, jnp.moveaxis(_attend_before(q, k, v), 0, 1))

    def step(self, z: Float[Array, " width"], cache: tuple, t: Int[Array, ""]) -> tuple[Float[Array, " width"], tuple]:
        q, *new = self._qkv(z)[:, :, None]
        keys, values = (jax.lax.dynamic_update_index_in_dim(c, x, t, axis=1) for c, x in zip(cache, new, strict=True))
        mixed = _attend(q, keys, values, (jnp.arange(keys.shape[1]) <= t)[None])
        return self._finish(z, mixed[:, 0]), (keys, values)

    def _qkv(self, z):
        """Queries, keys and values of tokens: "*tokens 3 heads size"."""
        return self.qkv(self.norm_attention(z)).reshape(*z.shape[:-1], 3, self.heads, -1)

    def _finish(self, z, mixed):
        z = z + self.out(mixed.reshape(z.shape))
        return z + self.down(jax.nn.relu(self.up(self.norm_mlp(z))))


def _attend(q, k, v, mask):
    """Scaled dot-product attention of "heads queries size" over "heads keys size". The softmax's sum divides
    last, the mixed values and not every weight, which is cheaper."""
    logits = jnp.einsum("hqd,hkd->hqk", q / math.sqrt(q.shape[-1]), k) + jnp.where(mask, 0.0, -jnp.inf).astype(q.dtype)
    weights = jnp.exp(logits - jax.lax.stop_gradient(jnp.max(logits, -1, keepdims=True)))
    return jnp.einsum("hqk,hkd->hqd", weights, v) / jnp.sum(weights, -1, keepdims=True)


def _attend_before(q, k, v):
    """Causal attention of every position over those up to its own. The queries come in blocks, each over the keys up
    to its end, and the reverse pass computes a block's weights again: memory linear in the number of positions."""
    steps = q.shape[1]
    if steps <= BLOCK:
        return _attend(q, k, v, jnp.tril(jnp.ones((steps, steps), bool)))
    ends = [*range(BLOCK, steps, BLOCK), steps]
    blocks = []
    for start, end in zip([0, *ends], ends, strict=False):
        mask = jnp.arange(end) <= jnp.arange(start, end)[:, None]
        blocks.append(jax.checkpoint(_attend)(q[:, start:end], k[:, :end], v[:, :end], mask))
    return jnp.concatenate(blocks, axis=1)


class CausalTransformer(eqx.Module):
    """Blocks between a linear embedding with fixed sinusoidal positions and a small linear read-out."""

    embed: Linear
    blocks: tuple[Block, ...]
    norm: LayerNorm
    read: Linear

    def __init__(
        self, inputs: int, outputs: int, width: int, depth: int, heads: int, expansion: int = 4, *, key: Key[Array, ""]
    ):
        if width % (2 * heads):
            raise ValueError(f"width must be a multiple of 2 * heads, got width={width} and heads={heads}.")
        keys = jr.split(key, depth + 2)
        self.embed = Linear(inputs, width, key=keys[0])
        self.blocks = tuple(Block(width, heads, expansion, key=k) for k in keys[1:-1])
        self.norm = LayerNorm(width)
        self.read = scaled(Linear(width, outputs, key=keys[-1]), 0.1)

    def __call__(self, tokens: Float[Array, "steps inputs"]) -> Float[Array, "steps outputs"]:
        z = self.embed(tokens) + self._positions(jnp.arange(len(tokens))[:, None])
        for block in self.blocks:
            z = block(z)
        return self.read(self.norm(z))

    def initial(self, steps: int) -> tuple:
        """An empty cache of keys and values for `steps` tokens, and the position 0."""
        width, heads = len(self.embed.weight), self.blocks[0].heads
        empty = jnp.zeros((heads, steps, width // heads), self.embed.weight.dtype)
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
        half = len(self.embed.weight) // 2
        angle = t * 1e4 ** (-jnp.arange(half) / half)
        return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1).astype(self.embed.weight.dtype)
