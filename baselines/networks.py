"""What the methods' policies are made of: a network, the scales of what it reads, a squash, and an optimiser.

Networks hold arrays only, so that they can be carried through a scan, and are written for one sample: batches come from
vmap.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Key

from bench.simulate import AbstractPolicy
from tasks.base import AbstractTask, Scalar

Net = TypeVar("Net")


class Linear(eqx.Module):
    """x Wᵀ + b over the last axis of any array, at first uniform in ± 1/√inputs as in `eqx.nn.Linear`.

    With the batch in front; under `vmap` Equinox's W x becomes W Xᵀ and a transposition, which on a CPU costs a
    transformer's fit a fifth of its time.
    """

    weight: Float[Array, "outputs inputs"]
    bias: Float[Array, " outputs"] | None

    def __init__(self, inputs: int, outputs: int, use_bias: bool = True, *, key: Key[Array, ""]):
        # In one draw: each is a loop to compile, and Equinox's three a layer were 39 of 46 in a history model's `init`.
        limit = 1 / math.sqrt(inputs)
        drawn = jr.uniform(key, (outputs, inputs + 1), minval=-limit, maxval=limit)
        self.weight, self.bias = drawn[:, :-1], drawn[:, -1] if use_bias else None

    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias


class LinearBothWays(eqx.Module):
    """A `Linear` that also holds its weights transposed: a product and its adjoint both read weights along rows. The
    gradient is that of `weight` alone."""

    weight: Float[Array, "outputs inputs"]
    transposed: Float[Array, "inputs outputs"]
    bias: Float[Array, " outputs"] | None

    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        y = _product(x, self.weight, self.transposed)
        return y if self.bias is None else y + self.bias


@jax.custom_vjp
def _product(x, weight, transposed):
    return x @ transposed


def _product_forward(x, weight, transposed):
    return x @ transposed, (x, weight)


def _product_backward(kept, of_y):
    x, weight = kept
    return of_y @ weight, jnp.einsum("...o,...i->oi", of_y, x), None


_product.defvjp(_product_forward, _product_backward)


def both_ways(net: Net) -> Net:
    """`net` for loops that read it a few samples at a time and leave it as it is.

    On a CPU the product with Wᵀ of four rows takes twice as long where W lies as it is stored as where it was
    transposed before the loop; for its adjoint, a product with W, it is the other way round.
    """

    def prepared(layer):
        return LinearBothWays(layer.weight, layer.weight.T, layer.bias) if isinstance(layer, Linear) else layer

    return jax.tree.map(prepared, net, is_leaf=lambda node: isinstance(node, Linear))


class MLP(eqx.Module):
    """Fully connected layers; the last one starts at `output_scale` of its usual size."""

    layers: tuple[Linear, ...]
    activation: Callable = eqx.field(static=True)

    def __init__(
        self,
        sizes: tuple[int, ...],
        activation: Callable = jnp.tanh,
        output_scale: float = 1.0,
        *,
        key: Key[Array, ""],
    ):
        keys = jr.split(key, len(sizes) - 1)
        *hidden, last = (Linear(i, o, key=k) for i, o, k in zip(sizes, sizes[1:], keys, strict=False))
        self.layers = (*hidden, scaled(last, output_scale))
        self.activation = activation

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, " outputs"]:
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)


def scaled(layer: Linear, factor: float) -> Linear:
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


@jax.custom_vjp
def project(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Projection onto [-1, 1] for an `a` that is moved by gradient descent.

    The derivative is 1, but 0 where a descent step would push further out (zeroing gradients: Hausknecht & Stone,
    2016, arXiv:1511.04143, section 5). Unlike tanh it reaches the bounds, where many optimal controls lie, and can
    leave them again: with tanh, policies that saturate early on a poor model never recover.
    """
    return jnp.clip(a, -1.0, 1.0)


def _project_forward(a):
    return jnp.clip(a, -1.0, 1.0), a


def _project_backward(a, gradient):
    outwards = ((a > 1) & (gradient < 0)) | ((a < -1) & (gradient > 0))
    return (jnp.where(outwards, 0.0, gradient),)


project.defvjp(_project_forward, _project_backward)


def observe(task: AbstractTask, scales: Scales, t: Scalar, x: Float[Array, " n"]) -> Float[Array, " obs"]:
    """What a policy network reads: the normalised state, the time in [-1, 1], and its square."""
    tau = jnp.asarray(2 * t / task.horizon - 1, x.dtype)
    return jnp.concatenate([scales.state(x), jnp.stack([tau, tau**2])])


def policy_network(
    task: AbstractTask, width: int, outputs: int, activation: Callable = jnp.tanh, *, key: Key[Array, ""]
) -> MLP:
    """Two hidden layers from an observation, with outputs that start near 0, the middle of the bounds."""
    return MLP((len(task.states) + 2, width, width, outputs), activation, 0.1, key=key)


class FeedbackPolicy(AbstractPolicy):
    """u = squash(net(observation)), a deterministic memoryless policy; `open_loop`, it reads the mean for any state."""

    task: AbstractTask
    scales: Scales
    net: MLP
    squash: Callable = eqx.field(static=True, default=project)
    open_loop: bool = eqx.field(static=True, default=False)

    def initial(self):
        return ()

    def __call__(self, t, x, carry):
        return self.control(t, x), carry

    def control(self, t: Scalar, x: Float[Array, " n"]) -> Float[Array, " m"]:
        m = len(self.task.controls)
        x = self.scales.mean if self.open_loop else x
        return from_unit(self.task, self.squash(self.net(observe(self.task, self.scales, t, x))[:m]))


def adam(
    learning_rate: Scalar, decay_updates: int, momentum: Scalar = 0.9, end: Scalar = 0.1
) -> optax.GradientTransformation:
    """Adam, gradients clipped to norm 1, a cosine to `end` of the rate; skips and counts non-finite gradients.

    The second moment is averaged over 20 updates, not the usual 1000: gradients shrink by orders of magnitude within a
    run of some hundred updates, and a longer memory of the first ones stalls it. All parameters are one vector in it:
    a step of a program is then traced in two thirds and compiled in six sevenths of the time that one for each leaf
    takes, and runs as fast.
    """
    schedule = optax.cosine_decay_schedule(learning_rate, decay_updates, alpha=end)
    chain = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b1=momentum, b2=0.95))
    return optax.flatten(optax.apply_if_finite(chain, max_consecutive_errors=jnp.iinfo(jnp.int32).max))


def around(net: MLP, output: Float[Array, " outputs"]) -> MLP:
    """`net` with its last bias set, so that its outputs start near `output`."""
    return eqx.tree_at(lambda n: n.layers[-1].bias, net, output)
