"""Check a reference's controls against constraints, enforced targets and declared ranges, within intervals too."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from bench import violations
from bench.precision import float64
from bench.records.reference import SAMPLES, Reference
from bench.reference.starts import evaluation_starts
from bench.simulate import end_error, from_knots, open_loop
from bench.solvers import SOLVERS, within
from tasks.base import AbstractTask
from tasks.constrained import AbstractConstrainedTask


def with_violations(task: AbstractTask, reference: Reference) -> Reference:
    """Return the reference with its largest violations; `violation` stays None on a task without constraints.

    An interval is sampled at SAMPLES points by the task's own solver, before its reset. Between two of them a state
    that turns may leave by a 256th of what it could within the interval.
    """
    x0 = evaluation_starts(task)[0] if reference.start is None else np.array(reference.start)
    with float64(task):
        knots = None if reference.states is None else jnp.array(reference.states)
        violation, outside = map(float, _largest(task, jnp.array(reference.controls), jnp.asarray(x0), knots))
    known = isinstance(task, AbstractConstrainedTask)
    return dataclasses.replace(reference, violation=violation if known else None, outside=outside)


@eqx.filter_jit
def _largest(task, us, x0, knots):
    """(violation of constraints and enforced targets, excess over the declared ranges), nan for a lost episode."""
    xs = open_loop(task, us, x0).xs if knots is None else from_knots(task, us, knots).xs
    starts = xs[:-1] if knots is None else knots[:-1]
    ts = task.dt * jnp.arange(task.num_steps)
    sampled = jax.vmap(lambda t, x, u: _interval(task, t, x, u))(ts, starts, us)
    states = jnp.concatenate([sampled[0].reshape(-1, xs.shape[1]), xs])
    at_end = jnp.maximum(violations.at_end(task, xs[-1]), end_error(task, xs[-1]))
    return jnp.maximum(jnp.max(sampled[1]), at_end), violations.of_ranges(task, states)


def _interval(task, t, x, u):
    """States at SAMPLES even times after t, before the reset, and the largest violation there and at t."""
    part = dataclasses.replace(task, num_steps=SAMPLES * task.num_steps, substeps=task.solver_steps)
    times = t + part.dt * jnp.arange(SAMPLES + 1)

    def step(x, t):
        x, _ = SOLVERS[task.solver].fixed(part, t, x, u)
        return x, x

    states = jnp.concatenate([x[None], jax.lax.scan(step, x, times[:-1])[1]])
    found = jax.vmap(lambda s, x: violations.on_path(task, within(task, t, s), x, u))(times, states)
    return states, jnp.max(found)
