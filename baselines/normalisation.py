"""The units that networks work in: states centred and of unit size, controls and time in [-1, 1]."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from tasks.base import AbstractTask, Scalar


class Scales(eqx.Module):
    """Statistics of the states seen so far, and the bounds of the controls."""

    mean: Float[Array, " n"]
    std: Float[Array, " n"]
    increment_std: Float[Array, " n"]  # standard deviation of x[t+1] - x[t]
    low: Float[Array, " m"]
    high: Float[Array, " m"]
    raw: bool = eqx.field(static=True, default=False)  # time, too, is left as it is (see `baselines.replication`)

    @classmethod
    def of(
        cls, task: AbstractTask, xs: Float[Array, "batch knots n"], weights: Float[Array, " batch"] | None = None
    ) -> "Scales":
        """Return the scales of trajectories, which count alike without `weights`.

        A component that never varies gets the size of its mean or, where that is 0, the size 1.
        """
        weights = jnp.ones(len(xs)) if weights is None else weights

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
        """Return states centred and in units of their standard deviation."""
        return (x - self.mean) / self.std

    def control(self, u: Float[Array, "*shape m"]) -> Float[Array, "*shape m"]:
        """Return controls with their bounds at -1 and 1."""
        return 2 * (u - self.low) / (self.high - self.low) - 1

    def pair(self, x: Float[Array, "*shape n"], u: Float[Array, "*shape m"]) -> Float[Array, "*shape inputs"]:
        """Return a normalised state and a normalised control as one vector."""
        return jnp.concatenate([self.state(x), self.control(u)], -1)


def observe(task: AbstractTask, scales: Scales, t: Scalar, x: Float[Array, " n"]) -> Float[Array, " obs"]:
    """Return the input of a policy network: the normalised state, the time in [-1, 1], and the square of that time.

    With raw scales they are the state, the number of intervals before t, and 0.
    """
    if scales.raw:
        return jnp.concatenate([x, jnp.stack([jnp.asarray(t / task.dt, x.dtype), jnp.zeros((), x.dtype)])])
    tau = jnp.asarray(2 * t / task.horizon - 1, x.dtype)
    return jnp.concatenate([scales.state(x), jnp.stack([tau, tau**2])])


def observe_knots(
    task: AbstractTask, scales: Scales, ks: Int[Array, " batch"], xs: Float[Array, "batch n"]
) -> Float[Array, "batch obs"]:
    """Return the inputs of a policy network at knots k of the time grid, in states x."""
    return jax.vmap(lambda k, x: observe(task, scales, k * task.dt, x))(ks, xs)


def from_unit(task: AbstractTask, a: Float[Array, "*shape m"]) -> Float[Array, "*shape m"]:
    """Return controls in physical units: -1 and 1 become the bounds."""
    low, high = (jnp.asarray(b, a.dtype) for b in task.bounds)
    return low + (high - low) * (a + 1) / 2


@jax.custom_vjp
def project(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Project onto [-1, 1] an `a` that gradient descent moves.

    The derivative is 1, but 0 where a descent step would push `a` further out (zeroing gradients: Hausknecht & Stone,
    2016, arXiv:1511.04143, section 5). Unlike tanh, the projection reaches the bounds, where many optimal controls lie,
    and can leave them again. With tanh, a policy that saturates early on a poor model never recovers.
    """
    return jnp.clip(a, -1.0, 1.0)


def _project_forward(a):
    return jnp.clip(a, -1.0, 1.0), a


def _project_backward(a, gradient):
    outwards = ((a > 1) & (gradient < 0)) | ((a < -1) & (gradient > 0))
    return (jnp.where(outwards, 0.0, gradient),)


project.defvjp(_project_forward, _project_backward)
