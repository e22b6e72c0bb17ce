"""A causal transformer small enough for a CPU, in two forms that compute the same.

One form reads a whole sequence at once, the other reads it token by token with a cache of keys and values.
"""

from typing import Annotated

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from baselines.causal_attention import attention_logits, causal_attention
from baselines.networks import Linear, scaled
from bench.settings import Count, Divides

Heads = Annotated[Count, Divides("width", times=2)]  # each head's share of the width is even, as positions are


def normalise(z: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
    """Return z / √(mean z² + ε) over the last axis (RMSNorm: Zhang & Sennrich, NeurIPS 2019).

    It subtracts no mean and learns nothing. The gain and shift of a layer norm can be a part of the layer that reads
    it. With a layer norm, a fit takes a tenth longer and a decode has a fifth more kernels to compile.
    """
    return z * jax.lax.rsqrt(jnp.mean(z**2, axis=-1, keepdims=True) + 1e-5)


class Block(eqx.Module):
    """A pre-norm transformer block: causal self-attention, then a ReLU layer (Vaswani et al. 2017; Xiong et al. 2020).

    Queries, keys and values come from one product. The ReLU layer is `expansion` times as wide as the block.
    """

    qkv: Linear
    out: Linear
    up: Linear
    down: Linear
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int, expansion: int, *, key: Key[Array, ""]):
        keys = jr.split(key, 4)
        self.qkv = Linear(width, 3 * width, use_bias=False, key=keys[0])
        self.out = Linear(width, width, key=keys[1])
        self.up = Linear(width, expansion * width, key=keys[2])
        self.down = Linear(expansion * width, width, key=keys[3])
        self.heads = heads

    def __call__(self, z: Float[Array, "steps width"]) -> Float[Array, "steps width"]:
        q, k, v = jnp.moveaxis(self.project(z), 0, 2)
        return self.finish(z, jnp.moveaxis(causal_attention(q, k, v), 0, 1))

    def step(
        self, z: Float[Array, " width"], cache: tuple, t: Int[Array, ""]
    ) -> tuple[Float[Array, " width"], tuple, tuple]:
        """Return the block's output for the token at position t, the cache with it, and the values to keep.

        The kept values spare a reverse pass their computation: z, the query, the mixture of values, and the logarithm
        of the sum of the weights.
        """
        q, *new = self.project(z)[:, :, None]
        keys, values = (jax.lax.dynamic_update_index_in_dim(c, x, t, axis=1) for c, x in zip(cache, new, strict=True))
        logits = attention_logits(q, keys, (jnp.arange(keys.shape[1]) <= t)[None])
        log_sum = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
        mixed = jnp.einsum("hqk,hkd->hqd", jnp.exp(logits - log_sum), values)[:, 0]
        return self.finish(z, mixed), (keys, values), (z, q[:, 0], mixed, log_sum[:, 0, 0])

    def project(self, z: Float[Array, "*tokens width"]) -> Float[Array, "*tokens 3 heads size"]:
        """Return queries, keys and values."""
        return self.qkv(normalise(z)).reshape(*z.shape[:-1], 3, self.heads, -1)

    def finish(
        self, z: Float[Array, "*tokens width"], mixed: Float[Array, "*tokens heads size"]
    ) -> Float[Array, "*tokens width"]:
        """Return the block's output from its input and the mixture of values: all that comes after attention."""
        z = z + self.out(mixed.reshape(z.shape))
        return z + self.down(jax.nn.relu(self.up(normalise(z))))


class CausalTransformer(eqx.Module):
    """Blocks between a linear embedding with fixed sinusoidal positions and a linear read-out that starts small."""

    embed: Linear
    blocks: tuple[Block, ...]
    read: Linear

    def __init__(
        self, inputs: int, outputs: int, width: int, depth: int, heads: int, expansion: int = 4, *, key: Key[Array, ""]
    ):
        if width % (2 * heads):
            raise ValueError(f"width must be a multiple of 2 * heads, got width={width} and heads={heads}.")
        keys = jr.split(key, depth + 2)
        self.embed = Linear(inputs, width, key=keys[0])
        self.blocks = tuple(Block(width, heads, expansion, key=k) for k in keys[1:-1])
        self.read = scaled(Linear(width, outputs, key=keys[-1]), 0.1)

    def __call__(self, tokens: Float[Array, "steps inputs"]) -> Float[Array, "steps outputs"]:
        z = self.begin(tokens, jnp.arange(len(tokens))[:, None])
        for block in self.blocks:
            z = block(z)
        return self.end(z)

    def initial(self, steps: int) -> tuple:
        """Return the carry before the first of `steps` tokens: position 0 and an empty cache of keys and values."""
        width, heads = len(self.embed.weight), self.blocks[0].heads
        empty = jnp.zeros((heads, steps, width // heads), self.embed.weight.dtype)
        return jnp.zeros((), jnp.int32), tuple((empty, empty) for _ in self.blocks)

    def step(self, carry: tuple, token: Float[Array, " inputs"]) -> tuple[tuple, Float[Array, " outputs"], tuple]:
        """Return the next carry, the output, and the values that blocks and read-out keep for a reverse pass."""
        t, caches = carry
        z = self.begin(token, t[None])
        new, kept = [], []
        for block, cache in zip(self.blocks, caches, strict=True):
            z, cache, rows = block.step(z, cache, t)
            new.append(cache)
            kept.append(rows)
        return (t + 1, tuple(new)), self.end(z), (*kept, z)

    def begin(
        self, tokens: Float[Array, "*tokens inputs"], t: Int[Array, "*tokens 1"]
    ) -> Float[Array, "*tokens width"]:
        """Return the first block's input for tokens at positions t."""
        half = len(self.embed.weight) // 2
        angle = t * 1e4 ** (-jnp.arange(half) / half)
        return self.embed(tokens) + jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1).astype(tokens.dtype)

    def end(self, z: Float[Array, "*tokens width"]) -> Float[Array, "*tokens outputs"]:
        """Return the transformer's output from the last block's."""
        return self.read(normalise(z))
