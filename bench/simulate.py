"""The simulator: the only code that integrates a task.

A control is held on each of H intervals. Within an interval a Diffrax solver takes a fixed number of its own steps. It
integrates the state and, as a quadrature state, the cost J' = g(t, x, u), so a cost is as accurate as its trajectory.
"""

import abc
from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from tasks.base import AbstractHybridTask, AbstractTask, Scalar

Transition = Callable[..., tuple[Float[Array, " n"], Float[Array, ""]]]  # (task, t, x, u) -> (x, cost)
MAX_ADAPTIVE_STEPS = 4096  # within one interval
SOLVERS = {
    "euler": diffrax.Euler,
    "heun": diffrax.Heun,
    "bosh3": diffrax.Bosh3,
    "tsit5": diffrax.Tsit5,
    "dopri8": diffrax.Dopri8,
}


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

    xs: Float[Array, "knots n"]
    us: Float[Array, "steps m"]
    costs: Float[Array, " steps"]
    cost: Float[Array, ""]
    end_error: Float[Array, ""]  # largest miss of an end-state target, in units of the state's range; 0 without targets


@eqx.filter_jit  # traced once for all rollouts of a program; XLA inlines it
def transition(
    task: AbstractTask, t: Scalar, x: Float[Array, " n"], u: Float[Array, " m"]
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """Return (state at t + dt, running cost over the interval) while u, which is in bounds, is held."""
    solver = SOLVERS[task.solver]()
    # The control jumps between intervals, which makes a stage of the last interval stale: the solver starts afresh.
    term = _with_cost(task, u)
    h = task.dt / task.solver_steps

    def step(carry, i):
        y, state = carry
        y, _, _, state, _ = solver.step(term, t + i * h, t + (i + 1) * h, y, None, state, made_jump=False)
        return (y, state), None

    start = (x, jnp.zeros((), x.dtype))
    carry = (start, solver.init(term, t, t + h, start, None))
    # XLA fuses two or three steps that are unrolled; more are a loop, which compiles as fast as one step.
    unroll = min(task.solver_steps, 3)
    ((x, cost), _), _ = jax.lax.scan(step, carry, jnp.arange(task.solver_steps), unroll=unroll)
    return _after_reset(task, t, x, u), cost


def adaptive_transition(
    task: AbstractTask, t: Scalar, x: Float[Array, " n"], u: Float[Array, " m"], rtol: float = 1e-8
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """Do what `transition` does by an adaptive solver of order 8, in float64: the truth that judges fixed steps.

    The result is nan where MAX_ADAPTIVE_STEPS do not reach the end. The loop is written out here, because that of
    `diffeqsolve` takes twice as long to compile and calls back into Python, so its programs cannot be kept on disk.
    """
    controller = diffrax.PIDController(rtol=rtol, atol=1e-2 * rtol)
    solver, term, end = diffrax.Dopri8(), _with_cost(task, u), t + task.dt
    y = (x, jnp.zeros((), x.dtype))
    h = task.dt / task.solver_steps
    next_t, control = controller.init(term, t, end, y, h, None, solver.func, solver.order(term))

    def step(carry):
        t, next_t, y, state, control, count = carry
        next_t = jnp.minimum(next_t, end)
        new_y, error, _, new_state, _ = solver.step(term, t, next_t, y, None, state, made_jump=False)
        kept, t, next_t, _, control, _ = controller.adapt_step_size(
            t, next_t, y, new_y, None, error, solver.order(term), control
        )
        y, state = jax.tree.map(lambda new, old: jnp.where(kept, new, old), (new_y, new_state), (y, state))
        return t, next_t, y, state, control, count + 1

    start = (t, next_t, y, solver.init(term, t, next_t, y, None), control, 0)
    reached, _, (x, cost), *_ = jax.lax.while_loop(lambda c: (c[0] < end) & (c[-1] < MAX_ADAPTIVE_STEPS), step, start)
    x, cost = jax.tree.map(lambda a: jnp.where(reached < end, jnp.nan, a), (x, cost))
    return _after_reset(task, t, x, u), cost


def _with_cost(task, u):
    return diffrax.ODETerm(lambda t, y, _: (task.vector_field(t, y[0], u), task.running_cost(t, y[0], u)))


def _after_reset(task, t, x, u):
    return task.jump(t + task.dt, x, u) if isinstance(task, AbstractHybridTask) else x


def rollout(
    task: AbstractTask, policy: AbstractPolicy, x0: Float[Array, " n"], transition: Transition = transition
) -> Trajectory:
    """Simulate one episode of `policy` from x0. Controls are clipped to the bounds, so no method can leave them."""
    return _scan(task, transition, lambda t, x, carry, _: policy(t, x, carry), policy.initial(), x0, None)


def open_loop(
    task: AbstractTask, us: Float[Array, "steps m"], x0: Float[Array, " n"], transition: Transition = transition
) -> Trajectory:
    """Simulate one episode of a control sequence, clipped to the bounds."""
    return _scan(task, transition, lambda t, x, carry, u: (u, carry), (), x0, us)


def from_knots(task: AbstractTask, us: Float[Array, "steps m"], xs: Float[Array, "knots n"]) -> Trajectory:
    """Simulate each interval from its own knot: an optimum may be so unstable that its controls alone lose it."""
    ts = task.dt * jnp.arange(task.num_steps)
    ends, costs = jax.vmap(lambda t, x, u: transition(task, t, x, u))(ts, xs[:-1], us)
    cost = jnp.sum(costs) + task.terminal_cost(xs[-1])
    return Trajectory(jnp.concatenate([xs[:1], ends]), us, costs, cost, end_error(task, xs[-1]))


def trapezoid_costs(
    task: AbstractTask, xs: Float[Array, "knots n"], us: Float[Array, "steps m"]
) -> Float[Array, " steps"]:
    """Return the running costs of the intervals by the trapezoid rule, for a model's predicted states at the knots."""
    ts = task.dt * jnp.arange(task.num_steps)
    left = jax.vmap(task.running_cost)(ts, xs[:-1], us)
    right = jax.vmap(task.running_cost)(ts + task.dt, xs[1:], us)
    return task.dt * (left + right) / 2


def end_error(task: AbstractTask, x: Float[Array, " n"]) -> Float[Array, ""]:
    """Return the largest miss of a target by the end state x, in units of the state's range; 0 without targets."""
    return jnp.max(jnp.abs(task.misses(x)), initial=0.0)


def _scan(task, transition, act, carry, x0, us) -> Trajectory:
    def interval(loop, inputs):
        x, carry = loop
        k, u = inputs
        t = k * jnp.asarray(task.dt, x0.dtype)
        u, carry = act(t, x, carry, u)
        u = clip(task, u)
        x_next, cost = transition(task, t, x, u)
        return (x_next, carry), (x_next, u, cost)

    inputs = (jnp.arange(task.num_steps), us)
    (x, _), (xs, us, costs) = jax.lax.scan(interval, (x0, carry), inputs)
    cost = jnp.sum(costs) + task.terminal_cost(x)
    return Trajectory(jnp.concatenate([x0[None], xs]), us, costs, cost, end_error(task, x))


def clip(task: AbstractTask, u: Float[Array, " m"]) -> Float[Array, " m"]:
    """Move u into the bounds. On a bound the derivative is 1 (jnp.clip's is 1/2), because optima lie there."""
    low, high = (jnp.asarray(b, u.dtype) for b in task.bounds)
    return jnp.where(u < low, low, jnp.where(u > high, high, u))
