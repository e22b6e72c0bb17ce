"""How one interval of a task is integrated: the solvers that a task may name, each with fixed and with adaptive steps.

Beside the state they integrate the cost J' = g(t, x, u) as a quadrature state.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bench import radau, runge_kutta
from tasks.base import AbstractTask, Scalar, State

Integrator = Callable[..., tuple[State, Float[Array, ""]]]  # -> (x, cost) at the end of the interval
KNOT_MARGIN = 8  # roundings of a knot's time by which the stages of a solver stay inside their interval
MAX_ADAPTIVE_STEPS = 4096  # within one interval


def within(task: AbstractTask, t: Scalar, s: Scalar) -> Scalar:
    """The time s, moved strictly inside the interval that starts at t.

    A price or a dose may switch at a knot. A solver's last stage lies on the knot, and must still read the old value
    (the left limit, as `jump_ts` gives it in Diffrax); its first stage must read the new one. Knots are products k dt,
    and a task writes them its own way, so that both may be some roundings off: 3 * 0.1 > 0.3.
    """
    end = t + task.dt
    margin = KNOT_MARGIN * jnp.finfo(jnp.result_type(end, float)).eps * jnp.abs(end)
    margin = jnp.minimum(margin, task.dt / 4)
    return jnp.clip(s, t + margin, end - margin)


def _field_and_cost(task, t, u, push):
    """f, with the push of a noise if there is one, and g of (s, x) on the interval that starts at t, with u held."""

    def field(s, x):
        f = task.vector_field(within(task, t, s), x, u)
        return f if push is None else f + push

    def cost(s, x):
        return task.running_cost(within(task, t, s), x, u)

    return field, cost


def _explicit_steps(steps, scheme, task, t, x, u, push=None):
    """Take `solver_steps` steps of a Diffrax solver, or of its tableau."""
    return steps(scheme, *_field_and_cost(task, t, u, push), t, task.dt / task.solver_steps, x, task.solver_steps)


def _explicit_adaptive(task, t, x, u, push, rtol):
    """Take the steps that Diffrax's controller asks of its solver of order 8.

    The loop is written out here, because that of `diffeqsolve` takes twice as long to compile and calls back into
    Python, so its programs cannot be kept on disk.
    """
    controller = diffrax.PIDController(rtol=rtol, atol=1e-2 * rtol)
    solver, end = diffrax.Dopri8(), t + task.dt
    term = runge_kutta.with_cost(*_field_and_cost(task, t, u, push))
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
    return jax.tree.map(lambda a: jnp.where(reached < end, jnp.nan, a), (x, cost))


def _implicit_steps(task, t, x, u, push=None):
    """`solver_steps` steps of Radau IIA."""
    h = jnp.asarray(task.dt / task.solver_steps, x.dtype)
    return radau.steps(*_field_and_cost(task, t, u, push), jnp.asarray(t, x.dtype), h, x, task.solver_steps)


def _implicit_adaptive(task, t, x, u, push, rtol):
    """Radau IIA with step sizes by halving."""
    h = jnp.asarray(task.dt, x.dtype)
    return radau.adaptive(*_field_and_cost(task, t, u, push), jnp.asarray(t, x.dtype), h, x, rtol)


class Solver(NamedTuple):
    """How an interval is integrated: by a fixed number of steps, and adaptively, to a relative tolerance."""

    fixed: Integrator  # of (task, t, x, u, push)
    adaptive: Integrator  # of (task, t, x, u, push, rtol)


SOLVERS = {
    "euler": Solver(partial(_explicit_steps, runge_kutta.by_solver, diffrax.Euler), _explicit_adaptive),
    "heun": Solver(partial(_explicit_steps, runge_kutta.by_stages, diffrax.Heun.tableau), _explicit_adaptive),
    "bosh3": Solver(partial(_explicit_steps, runge_kutta.by_stages, diffrax.Bosh3.tableau), _explicit_adaptive),
    "tsit5": Solver(partial(_explicit_steps, runge_kutta.by_stages, diffrax.Tsit5.tableau), _explicit_adaptive),
    "dopri8": Solver(partial(_explicit_steps, runge_kutta.by_solver, diffrax.Dopri8), _explicit_adaptive),
    "radau5": Solver(_implicit_steps, _implicit_adaptive),  # for stiff plants
}
