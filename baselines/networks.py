"""Layers and fully connected networks.

Networks hold arrays only, so that a scan can carry them. They are written for one sample; `jax.vmap` makes batches.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from tasks.base import AbstractTask

Net = TypeVar("Net")


class Linear(eqx.Module):
    """x Wᵀ + b over the last axis of any array. Weights start uniform in ± 1/√inputs, as in `eqx.nn.Linear`.

    The batch stays in front. Under `vmap` Equinox's W x becomes W Xᵀ and a transposition, which costs a transformer's
    fit a fifth of its time on a CPU.
    """

    weight: Float[Array, "outputs inputs"]
    bias: Float[Array, " outputs"] | None

    def __init__(self, inputs: int, outputs: int, use_bias: bool = True, *, key: Key[Array, ""]):
        # One draw for all: each draw is a loop to compile. Equinox draws three times a layer, and these were 39 of the
        # 46 loops in a history model's `init`.
        limit = 1 / math.sqrt(inputs)
        drawn = jr.uniform(key, (outputs, inputs + 1), minval=-limit, maxval=limit)
        self.weight, self.bias = drawn[:, :-1], drawn[:, -1] if use_bias else None

    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch outputs"]:
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias


class LinearBothWays(eqx.Module):
    """A `Linear` that also holds its transposed weights, so that a product and its adjoint both read along rows.

    The gradient is with respect to `weight` alone.
    """

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


def _product_backward(kept, y_bar):
    x, weight = kept
    return y_bar @ weight, jnp.einsum("...o,...i->oi", y_bar, x), None


_product.defvjp(_product_forward, _product_backward)


def both_ways(net: Net) -> Net:
    """Return `net` with each `Linear` made a `LinearBothWays`, for loops that use it on few samples and never move it.

    For four rows on a CPU, the product with Wᵀ takes twice as long from W in memory as from a copy that was transposed
    before the loop. For its adjoint, a product with W, it is the other way round.
    """

    def prepared(layer):
        return LinearBothWays(layer.weight, layer.weight.T, layer.bias) if isinstance(layer, Linear) else layer

    return jax.tree.map(prepared, net, is_leaf=lambda node: isinstance(node, Linear))


class MLP(eqx.Module):
    """Fully connected layers. The weights of the last one start at `output_scale` times their usual size."""

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
    """Return `layer` with weights and biases times `factor`. A network with a small output layer starts near 0."""
    return jax.tree.map(lambda w: factor * w, layer)


def with_output_bias(net: MLP, bias: Float[Array, " outputs"]) -> MLP:
    """Return `net` with its last bias set, so that its outputs start near `bias`."""
    return eqx.tree_at(lambda n: n.layers[-1].bias, net, bias)


def policy_network(
    task: AbstractTask, width: int, outputs: int, activation: Callable = jnp.tanh, *, key: Key[Array, ""]
) -> MLP:
    """Return two hidden layers that read an observation. The outputs start near 0, the middle of the bounds."""
    return MLP((len(task.states) + 2, width, width, outputs), activation, 0.1, key=key)
