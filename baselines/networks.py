"""Small networks shared by the methods: arrays only, so that a network can be carried through a scan.

Each is written for one sample; batches come from vmap.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from bench.simulate import AbstractPolicy, clip
from tasks.base import AbstractTask, Scalar


class MLP(eqx.Module):
    """Fully connected layers with tanh between them; the last layer starts at `output_scale` of its usual size."""

    layers: tuple[eqx.nn.Linear, ...]

    def __init__(self, sizes: tuple[int, ...], output_scale: float = 1.0, *, key: Key[Array, ""]):
        keys = jr.split(key, len(sizes) - 1)
        *hidden, last = (eqx.nn.Linear(i, o, key=k) for i, o, k in zip(sizes, sizes[1:], keys, strict=False))
        self.layers = (*hidden, scaled(last, output_scale))

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        for layer in self.layers[:-1]:
            x = jnp.tanh(layer(x))
        return self.layers[-1](x)


def scaled(layer: eqx.nn.Linear, factor: float) -> eqx.nn.Linear:
    """`layer` with its weights and biases multiplied: a small output layer starts near its offset."""
    return jax.tree.map(lambda w: factor * w, layer)


class Scales(eqx.Module):
    """Statistics of the states seen so far and the controls' bounds: what networks read is centred and of unit size."""

    mean: Float[Array, " n"]
    std: Float[Array, " n"]
    increment_std: Float[Array, " n"]  # of x[t+1] - x[t]
    low: Float[Array, " m"]
    high: Float[Array, " m"]

    @classmethod
    def of(cls, task: AbstractTask, xs: Float[Array, "batch knots n"], weights: Float[Array, " batch"]) -> "Scales":
        """The scales of weighted trajectories. A component that never varies gets the size of its mean, or 1."""

        def moments(values):
            total = jnp.sum(weights) * values.shape[1]
            mean = jnp.einsum("b,btn->n", weights, values) / total
            return mean, jnp.sqrt(jnp.einsum("b,btn->n", weights, (values - mean) ** 2) / total)

        mean, std = moments(xs)
        _, increment_std = moments(jnp.diff(xs, axis=1))
        size = jnp.where(jnp.abs(mean) > 0, jnp.abs(mean), 1.0)
        std = jnp.where(std > 1e-5 * size, std, size)  # float32 noise around a constant is not a signal
        increment_std = jnp.where(increment_std > 1e-6 * std, increment_std, std)
        low, high = (jnp.asarray(b, mean.dtype) for b in task.bounds)
        return cls(mean, std, increment_std, low, high)

    def state(self, x: Float[Array, "*shape n"]) -> Float[Array, "*shape n"]:
        return (x - self.mean) / self.std

    def control(self, u: Float[Array, "*shape m"]) -> Float[Array, "*shape m"]:
        return 2 * (u - self.low) / (self.high - self.low) - 1

    def pair(self, x: Float[Array, "*shape n"], u: Float[Array, "*shape m"]) -> Float[Array, "*shape inputs"]:
        return jnp.concatenate([self.state(x), self.control(u)], -1)


def from_unit(task: AbstractTask, a: Float[Array, "*shape m"]) -> Float[Array, "*shape m"]:
    """Controls from [-1, 1] to their bounds."""
    low, high = (jnp.asarray(b, a.dtype) for b in task.bounds)
    return low + (high - low) * (a + 1) / 2


def observe(task: AbstractTask, scales: Scales, t: Scalar, x: Float[Array, " n"]) -> Float[Array, " obs"]:
    """What a policy network reads: the normalised state, the time in [-1, 1], and its square."""
    tau = jnp.asarray(2 * t / task.horizon - 1, x.dtype)
    return jnp.concatenate([scales.state(x), jnp.stack([tau, tau**2])])


def policy_network(task: AbstractTask, width: int, outputs: int, *, key: Key[Array, ""]) -> MLP:
    """Two hidden layers from an observation, with outputs that start near 0, the middle of the bounds."""
    return MLP((len(task.states) + 2, width, width, outputs), output_scale=0.1, key=key)


class FeedbackPolicy(AbstractPolicy):
    """u = squash(net(observation)), a deterministic memoryless policy."""

    task: AbstractTask
    scales: Scales
    net: MLP

    def initial(self):
        return ()

    def __call__(self, t, x, carry):
        return self.control(t, x), carry

    def control(self, t: Scalar, x: Float[Array, " n"]) -> Float[Array, " m"]:
        m = len(self.task.controls)
        return from_unit(self.task, jnp.tanh(self.net(observe(self.task, self.scales, t, x))[:m]))


class Perturbed(AbstractPolicy):
    """Another policy with given noise added to its controls, then clipped to the bounds; noise in half ranges."""

    policy: FeedbackPolicy
    noise: Float[Array, "steps m"]

    def initial(self):
        return jnp.zeros((), jnp.int32)

    def __call__(self, t, x, k):
        scales = self.policy.scales
        noise = self.noise[k] * (scales.high - scales.low) / 2
        return clip(self.policy.task, self.policy.control(t, x) + noise), k + 1


def ou_noise(task: AbstractTask, key: Key[Array, ""], correlation: float = 0.9) -> Float[Array, "steps m"]:
    """Ornstein-Uhlenbeck noise of unit variance, one value per held control (Uhlenbeck & Ornstein, 1930)."""
    white = jr.normal(key, (task.num_steps, len(task.controls)))

    def step(e, w):
        return (correlation * e + math.sqrt(1 - correlation**2) * w,) * 2

    return jax.lax.scan(step, white[0], white)[1]


class Block(eqx.Module):
    """A pre-norm transformer block: causal self-attention, then a ReLU layer (Vaswani et al. 2017; Xiong et al. 2020).

    Queries, keys and values come from one product. `__call__` reads a whole sequence in parallel; `step` reads one token
    and a cache of the keys and values of those before it. Both compute the same.
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

    def _qkv(self, z):
        return jnp.split(self.qkv(self.norm_attention(z)).reshape(3 * self.heads, -1), 3)

    def _mlp(self, z):
        return z + self.down(jax.nn.relu(self.up(self.norm_mlp(z))))

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
    """Scaled dot-product attention, "queries heads size" over "keys heads size"; softmax is divided out last, which is cheaper."""
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
