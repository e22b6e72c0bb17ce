"""The simulator: the only code that integrates a task.

A control is held on each of H intervals. Within an interval a solver takes a fixed number of its own steps. It
integrates the state and, as a quadrature state, the cost J' = g(t, x, u), so a cost is as accurate as its trajectory.
"""

import abc
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bench import violations
from bench.errors import UsageError
from bench.noisy_task import NoisyState, NoisyTask, knot, observed
from bench.solvers import SOLVERS, within
from tasks.base import AbstractHybridTask, AbstractTask, Scalar, State

SIMULATOR_VERSION = 1  # part of every method's fingerprint; raise it when episodes or their scores change
Transition = Callable[..., tuple[State, Float[Array, ""]]]  # (task, t, x, u) -> (x, cost)


class AbstractPolicy(eqx.Module):
    """A feedback law u = π(t, x), with a carry for policies that remember; everything in physical units."""

    @abc.abstractmethod
    def initial(self) -> Any:
        """The carry before the first interval; () for a memoryless policy."""

    @abc.abstractmethod
    def __call__(self, t: Scalar, x: Float[Array, " n"], carry: Any) -> tuple[Float[Array, " m"], Any]:
        """The control for the interval that starts at time t in state x, and the next carry."""


class Trajectory(eqx.Module):
    """One episode. `costs` are the running costs of the intervals, and `cost` is their sum plus the terminal cost."""

    xs: Float[Array, "knots n"]  # those observed, of a noisy task
    us: Float[Array, "steps m"]
    costs: Float[Array, " steps"]
    cost: Float[Array, ""]
    end_error: Float[Array, ""]  # largest miss of an end-state target, in units of the state's range; 0 without targets
    violation: Float[Array, ""]  # largest violation of a constraint at a knot, in units of its range; 0 without any


def transition(
    task: AbstractTask, t: Scalar, x: State, u: Float[Array, " m"], push: Float[Array, " n"] | None = None
) -> tuple[State, Float[Array, ""]]:
    """Return (state at t + dt, running cost over the interval) while u, which is in bounds, is held.

    The state of a noisy task begins as `task.start(key)`. `push` is added to the vector field of another task.
    """
    return _moved(simulated_interval, task, t, x, u, push)


@eqx.filter_jit  # traced once for all rollouts of a program; XLA inlines it. Its name marks a simulation in a program.
def simulated_interval(task, t, x, u, push=None):
    """Compute `transition` of a task without noise."""
    end, cost = SOLVERS[task.solver].fixed(task, t, x, u, push)
    return _after_reset(task, t, end, u), cost


def adaptive_transition(
    task: AbstractTask,
    t: Scalar,
    x: State,
    u: Float[Array, " m"],
    push: Float[Array, " n"] | None = None,
    rtol: float = 1e-8,
) -> tuple[State, Float[Array, ""]]:
    """Do what `transition` does by an adaptive solver, in float64: the truth that judges fixed steps.

    The adaptive solver is implicit where the task's own is. The result is nan where MAX_ADAPTIVE_STEPS do not reach the
    end.
    """

    def interval(task, t, x, u, push):
        end, cost = SOLVERS[task.solver].adaptive(task, t, x, u, push, rtol)
        return _after_reset(task, t, end, u), cost

    return _moved(interval, task, t, x, u, push)


def _moved(interval, task, t, x, u, push):
    """Simulate an interval, of a noisy task that of its plant under the episode's noise."""
    if not isinstance(task, NoisyTask):
        return interval(task, t, x, u, push)
    if not isinstance(x, NoisyState):
        raise UsageError("an episode of a noisy task starts at task.start(key), which draws its noise; got an array.")
    end, cost = interval(task.plant, t, x.x, u, x.push)
    return x.moved(end), cost


def _after_reset(task, t, x, u):
    return jnp.asarray(task.jump(t + task.dt, x, u), x.dtype) if isinstance(task, AbstractHybridTask) else x


def rollout(task: AbstractTask, policy: AbstractPolicy, x0: State, transition: Transition = transition) -> Trajectory:
    """Simulate one episode of `policy` from x0. Controls are clipped to the bounds, so no method can leave them."""
    return _scan(task, transition, lambda t, x, carry, _: policy(t, x, carry), policy.initial(), x0, None)


def open_loop(
    task: AbstractTask, us: Float[Array, "steps m"], x0: State, transition: Transition = transition
) -> Trajectory:
    """Simulate one episode of a control sequence, clipped to the bounds."""
    return _scan(task, transition, lambda t, x, carry, u: (u, carry), (), x0, us)


def from_knots(
    task: AbstractTask,
    us: Float[Array, "steps m"],
    xs: Float[Array, "knots n"],
    transition: Transition = transition,
) -> Trajectory:
    """Simulate each interval from its own knot: an optimum may be so unstable that its controls alone lose it."""
    ts = task.dt * jnp.arange(task.num_steps)
    ends, costs = jax.vmap(lambda t, x, u: transition(task, t, x, u))(ts, xs[:-1], us)
    return episode(task, jnp.concatenate([xs[:1], ends]), us, costs, xs[-1])


def trapezoid_costs(
    task: AbstractTask, xs: Float[Array, "knots n"], us: Float[Array, "steps m"]
) -> Float[Array, " steps"]:
    """Return the running costs of the intervals by the trapezoid rule, for a model's predicted states at the knots."""
    ts = task.dt * jnp.arange(task.num_steps)
    left = jax.vmap(task.running_cost)(jax.vmap(lambda t: within(task, t, t))(ts), xs[:-1], us)
    right = jax.vmap(task.running_cost)(jax.vmap(lambda t: within(task, t, t + task.dt))(ts), xs[1:], us)
    return task.dt * (left + right) / 2


def end_error(task: AbstractTask, x: Float[Array, " n"]) -> Float[Array, ""]:
    """Return the largest miss of a target by the end state x, in units of the state's range; 0 without targets."""
    return jnp.max(jnp.abs(task.misses(x)), initial=0.0)


def path_violation(
    task: AbstractTask, t: Scalar, x: Float[Array, " n"], after: Float[Array, " n"], u: Float[Array, " m"]
) -> Float[Array, ""]:
    """Return the largest violation of a path constraint at both ends of the interval that starts at t."""
    at_start = violations.on_path(task, within(task, t, t), x, u)
    return jnp.maximum(at_start, violations.on_path(task, within(task, t, t + task.dt), after, u))


def _scan(task, transition, act, carry, x0, us) -> Trajectory:
    def interval(loop, inputs):
        x, carry = loop
        k, u = inputs
        t = k * jnp.asarray(task.dt, x0.dtype)
        u, carry = act(t, observed(x), carry, u)
        u = clip(task, u)
        x_next, cost = transition(task, t, x, u)
        return (x_next, carry), (knot(x_next), u, cost)

    inputs = (jnp.arange(task.num_steps), us)
    (x, _), (xs, us, costs) = jax.lax.scan(interval, (x0, carry), inputs)
    xs = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), knot(x0), xs)
    if not isinstance(task, NoisyTask):
        return episode(task, xs, us, costs, x)
    true, seen = xs
    return eqx.tree_at(lambda each: each.xs, episode(task.plant, true, us, costs, x.x), seen)


def episode(
    task: AbstractTask,
    xs: Float[Array, "knots n"],
    us: Float[Array, "steps m"],
    costs: Float[Array, " steps"],
    end: Float[Array, " n"],
) -> Trajectory:
    """Return the episode of a plain task with these states, controls and running costs, which ended in `end`."""
    ts = task.dt * jnp.arange(task.num_steps)
    on_the_way = jax.vmap(partial(path_violation, task))(ts, xs[:-1], xs[1:], us)
    violation = jnp.maximum(jnp.max(on_the_way), violations.at_end(task, end))
    return Trajectory(xs, us, costs, jnp.sum(costs) + task.terminal_cost(end), end_error(task, end), violation)


def clip(task: AbstractTask, u: Float[Array, " m"]) -> Float[Array, " m"]:
    """Move u into the bounds. On a bound the derivative is 1 (jnp.clip's is 1/2), because optima lie there."""
    low, high = (jnp.asarray(b, u.dtype) for b in task.bounds)
    return jnp.where(u < low, low, jnp.where(u > high, high, u))
