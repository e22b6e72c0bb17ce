"""What the classes of world models have in common: their signature, their targets and how they are unrolled."""

import abc
import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from baselines.normalisation import Scales


class AbstractWorldModel(eqx.Module):
    """A model of a task's states given controls. Training leaves `scales` alone: they are statistics."""

    scales: eqx.AbstractVar[Scales]

    @abc.abstractmethod
    def __call__(self, x0: Float[Array, " n"], us: Float[Array, "steps m"]) -> Float[Array, "steps n"]:
        """Return the states after each control."""

    @abc.abstractmethod
    def residuals(self, xs: Float[Array, "knots n"], us: Float[Array, "steps m"]) -> Float[Array, "steps errors"]:
        """Return the errors of the fitted quantities on a true trajectory, in units of their spread."""

    @abc.abstractmethod
    def initial(self, x0: Float[Array, " n"], steps: int) -> Any:
        """Return the carry from which `advance` decodes at most `steps` states one by one."""

    @abc.abstractmethod
    def advance(self, carry: Any, u: Float[Array, " m"]) -> tuple[Any, Float[Array, " n"]]:
        """Return the next carry and the state after one more control, for policies that need a state before they act.

        The states are those of `__call__`.
        """

    @abc.abstractmethod
    def forecast(
        self, xs: Float[Array, "knots n"], us: Float[Array, "steps m"], k: Int[Array, ""]
    ) -> Float[Array, "steps n"]:
        """Return the states after each control, given those that were observed: xs[0..k], and no later ones.

        Entries before the state after us[k] are without meaning.
        """


def unroll(model: AbstractWorldModel, x0: Float[Array, " n"], us: Float[Array, "steps m"]) -> Float[Array, "steps n"]:
    """Return the states after each control, decoded one by one."""
    return jax.lax.scan(lambda carry, u: model.advance(carry, u), model.initial(x0, len(us)), us)[1]


class AbstractActionsModel(AbstractWorldModel):
    """A model that reads the first state and the controls alone."""

    increments: eqx.AbstractVar[float]  # weight of the increments' errors in the fit
    incremental: eqx.AbstractVar[bool]

    def next(self, x0: Float[Array, " n"], x: Float[Array, " n"], output: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return the state after the predicted state x, given the network's output."""
        return x + self.scales.increment_std * output if self.incremental else x0 + self.scales.std * output

    def forecast(self, xs, us, k):
        predicted = self(xs[0], us)
        return predicted + xs[k] - jnp.concatenate([xs[:1], predicted])[k]


def states_and_increments(
    model: AbstractActionsModel, xs: Float[Array, "knots n"], us: Float[Array, "steps m"]
) -> Float[Array, "steps errors"]:
    """Return the errors of an actions model's states and of their increments, 2 n a step, in units of their spreads.

    States vary by far more than an interval changes them. So a fit to states alone may leave to chance the effect of a
    control on the next states, and with it the policy's gradient.
    """
    errors = model(xs[0], us) - xs[1:]
    increment_errors = jnp.diff(errors, axis=0, prepend=jnp.zeros_like(errors[:1]))
    weighted = math.sqrt(model.increments) * increment_errors / model.scales.increment_std
    return jnp.concatenate([errors / model.scales.std, weighted], axis=1)


class AbstractActionsSequence(AbstractActionsModel):
    """An actions model whose network reads controls, each joined by the first state, at once or one by one."""

    net: eqx.AbstractVar[Any]  # tokens -> outputs; `initial(steps)` and `step(carry, token)` are its sequential form

    def __call__(self, x0, us):
        outputs = self.net(self.scales.pair(jnp.broadcast_to(x0, (len(us), len(x0))), us))
        if self.incremental:
            return x0 + self.scales.increment_std * jnp.cumsum(outputs, axis=0)
        return x0 + self.scales.std * outputs

    def residuals(self, xs, us):
        return states_and_increments(self, xs, us)

    def initial(self, x0, steps):
        return x0, x0, self.net.initial(steps)

    def advance(self, carry, u):
        x0, x, cache = carry
        cache, output = self.net.step(cache, self.scales.pair(x0, u))[:2]
        x = self.next(x0, x, output)
        return (x0, x, cache), x


class AbstractStateModel(AbstractWorldModel):
    """A model that reads states: true ones in the fit, its own when it is unrolled."""

    incremental: eqx.AbstractVar[bool]

    def next(self, x: Float[Array, " n"], output: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return the state after x, given the network's output."""
        return (
            x + self.scales.increment_std * output if self.incremental else self.scales.mean + self.scales.std * output
        )

    def target(self, xs: Float[Array, "knots n"]) -> Float[Array, "steps n"]:
        """Return the outputs with which `next` is right."""
        return jnp.diff(xs, axis=0) / self.scales.increment_std if self.incremental else self.scales.state(xs[1:])


def with_cut_predictions(make: Callable[..., AbstractWorldModel]) -> Callable[..., AbstractWorldModel] | None:
    """Return the same kind of model with no gradient through the predicted states that it reads.

    None for a model that reads none, cannot cut the gradient, or cuts it already.
    """
    cut = inspect.signature(make).parameters.get("cut_predictions")
    return None if cut is None or cut.default else partial(make, cut_predictions=True)
