"""Policies that methods explore with and are judged by: feedback of a network, with noise, held, averaged, or fixed."""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from baselines.gaussian import BoundedGaussian, clipped_mean
from baselines.networks import MLP
from baselines.normalisation import Scales, from_unit, observe, project
from bench.simulate import AbstractPolicy, clip
from tasks.base import AbstractTask, Scalar


class AbstractNoisyPolicy(AbstractPolicy):
    """A policy without memory whose controls noise can perturb."""

    @abc.abstractmethod
    def control(self, t: Scalar, x: Float[Array, " n"]) -> Float[Array, " m"]:
        """Return the control at time t in state x."""

    @abc.abstractmethod
    def perturbed(self, t: Scalar, x: Float[Array, " n"], noise: Float[Array, " m"]) -> Float[Array, " m"]:
        """Return the control under noise, within the bounds."""


class FeedbackPolicy(AbstractNoisyPolicy):
    """u = squash(net(observation)): a deterministic policy without memory.

    An `open_loop` policy reads the time alone: it gets the mean state in place of the state.
    """

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
        """Return the control at time t in state x; further outputs of the network are left out."""
        m = len(self.task.controls)
        x = self.scales.mean if self.open_loop else x
        return from_unit(self.task, self.squash(self.net(observe(self.task, self.scales, t, x))[:m]))

    def perturbed(self, t: Scalar, x: Float[Array, " n"], noise: Float[Array, " m"]) -> Float[Array, " m"]:
        """Return the control plus noise in half ranges, clipped to the bounds."""
        return clip(self.task, self.control(t, x) + noise * (self.scales.high - self.scales.low) / 2)


class WithoutFeedbackGradient(AbstractPolicy):
    """The controls of another policy. The gradient does not see that they depend on the state."""

    policy: AbstractPolicy

    def initial(self):
        return self.policy.initial()

    def __call__(self, t, x, carry):
        return self.policy(t, jax.lax.stop_gradient(x), carry)


class Perturbed(AbstractPolicy):
    """The controls of another policy under given noise."""

    policy: AbstractNoisyPolicy
    noise: Float[Array, "steps m"]

    def initial(self):
        return jnp.zeros((), jnp.int32)

    def __call__(self, t, x, k):
        return self.policy.perturbed(t, x, self.noise[k]), k + 1


class Held(AbstractPolicy):
    """Another policy plus given noise in half ranges, asked every `hold` intervals only and held in between.

    A control on one of many short intervals changes the return by less than chance does. The effect of a control that
    is held can be seen.
    """

    policy: FeedbackPolicy
    noise: Float[Array, "decisions m"]
    hold: int = eqx.field(static=True)

    def initial(self):
        return jnp.zeros((), jnp.int32), jnp.zeros_like(self.noise[0])

    def __call__(self, t, x, carry):
        k, held = carry
        scales = self.policy.scales
        noise = self.noise[k // self.hold] * (scales.high - scales.low) / 2
        u = jnp.where(k % self.hold == 0, self.policy.control(t, x) + noise, held)
        return u, (k + 1, u)


class AverageAction(AbstractPolicy):
    """u = E clip(a), a ~ π(· | o): the mean of the controls that a Gaussian policy plays, without memory."""

    task: AbstractTask
    scales: Scales
    actor: BoundedGaussian

    def initial(self):
        return ()

    def __call__(self, t, x, carry):
        mean = self.actor.mean(observe(self.task, self.scales, t, x))
        return from_unit(self.task, clipped_mean(mean, jnp.exp(self.actor.log_std))), carry


class SequencePolicy(AbstractPolicy):
    """A given control sequence, whatever the state."""

    us: Float[Array, "steps m"]

    def initial(self):
        return jnp.zeros((), jnp.int32)

    def __call__(self, t, x, k):
        return self.us[k], k + 1
