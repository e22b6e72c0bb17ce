"""Does a policy live off the simulator's errors? Its episodes again by an adaptive solver, and on a finer grid.

The loop over intervals is Python's: so the solvers are compiled once for a task, whatever the method, and of a method
only one call of its policy. A scan over all of it would compile for seconds in every cell.
"""

import dataclasses
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bench.machine import compilation
from bench.records import trajectory
from bench.simulate import AbstractPolicy, adaptive_transition, clip, end_error, transition
from tasks.base import AbstractTask, Scalar

FINER = 4


@dataclasses.dataclass(frozen=True)
class Rescore:
    """Closed-loop episodes of trained policies in float64, every control held as in training.

    `adaptive` are the mean costs over the starts by a solver at rtol 1e-8, `finer` those on a grid FINER times as fine,
    `end_error` the mean largest miss of an end-state target by the adaptive solver; nan where an episode was lost on
    the way. `states`, `controls`, `costs` (running, of each interval) and `cost` (with the terminal one) are its
    episodes from the first start. `compile_seconds` went into tracing and compiling all this.
    """

    adaptive: Float[np.ndarray, " seeds"]
    finer: Float[np.ndarray, " seeds"]
    end_error: Float[np.ndarray, " seeds"]
    states: Float[np.ndarray, "seeds knots n"]
    controls: Float[np.ndarray, "seeds steps m"]
    costs: Float[np.ndarray, "seeds steps"]
    cost: Float[np.ndarray, " seeds"]
    compile_seconds: float

    def plain(self) -> tuple[dict[str, Any], ...]:
        """What a record keeps of each seed, as values of JSON: the scores, and the episode if it was not lost."""
        return tuple(map(self._of_seed, range(len(self.cost))))

    def _of_seed(self, i: int) -> dict[str, Any]:
        scores = {name: float(getattr(self, name)[i]) for name in ("adaptive", "finer", "end_error")}
        episode = {name: getattr(self, name)[i] for name in ("states", "controls", "costs", "cost")}
        return {
            "scores": {name: value if np.isfinite(value) else None for name, value in scores.items()},
            "episode": trajectory.episode_to_json(**episode) if np.isfinite(self.cost[i]) else None,
        }


def rescore(
    task: AbstractTask, policy: Callable[[Any], AbstractPolicy], state: Any, starts: Float[np.ndarray, "starts n"]
) -> Rescore:
    """Score the policies of a block of seeds again, from each of `starts`.

    `policy` makes that of one seed from its final state; every leaf of `state` has the seeds as its first axis.
    Policies compute in the precision that they were trained in. A hybrid task is reset at the end of an interval, so on
    the finer grid a reset comes sooner after its cause.
    """

    def each(call: Callable, carry: Any) -> Callable:
        """`call` of (state, t, x, carry) for all seeds and all episodes of each."""
        call = jax.vmap(jax.vmap(call, (None, None, 0, 0)), (0, None, 0, 0))
        return jax.jit(call).lower(state, zero, origin.astype(trained), carry).compile(compilation.quick_options())

    seeds, half = len(jax.tree.leaves(state)[0]), len(starts)
    trained, zero = task.x0.dtype, np.zeros((), task.x0.dtype)
    # The first half of a seed's episodes is for the adaptive solver, the other for the finer grid.
    origin = np.tile(np.asarray(starts, np.float64), (seeds, 2, 1))
    began = time.perf_counter()
    arrays, rest = eqx.partition(task, eqx.is_array)
    interval = _compiled_interval(rest, jax.tree.map(jax.typeof, arrays), origin.shape[:-1])
    begin = each(lambda state, t, x, carry: policy(state).initial(), ())
    carry = begin(state, zero, origin.astype(trained), ())
    act = each(lambda state, t, x, carry: policy(state)(t, x, carry), carry)
    compile_seconds = time.perf_counter() - began
    xs, total, end = origin, np.zeros(origin.shape[:-1]), (0.0, 0.0)
    episode = []
    with np.errstate(over="ignore"):  # an episode that blows up is lost, which is a result
        for k in range(task.num_steps):
            t = np.asarray(k, trained) * np.asarray(task.dt, trained)
            us, carry = act(state, t, xs.astype(trained), carry)
            us = np.asarray(us, np.float64)
            alive = np.isfinite(total) & np.isfinite(us).all(-1)
            us = np.where(alive[..., None], us, task.bounds[0])
            with jax.enable_x64(True):
                after, us, cost, end = jax.device_get(interval(arrays, np.float64(k * task.dt), xs, us))
            episode.append((xs[:, 0], us[:, 0], cost[:, 0]))
            total = np.where(alive & np.isfinite(after).all(-1), total + cost, np.nan)
            # An adaptive solver that is given nan halves its steps until it gives up, which takes long.
            xs = np.where(np.isfinite(total)[..., None], after, origin)
    terminal, misses = end
    total = total + terminal
    states, controls, costs = (np.stack(part, axis=1) for part in zip(*episode, strict=True))
    return Rescore(
        adaptive=total[:, :half].mean(-1),
        finer=total[:, half:].mean(-1),
        end_error=(misses + 0 * total)[:, :half].mean(-1),
        states=np.concatenate([states, xs[:, None, 0]], axis=1),
        controls=controls,
        costs=costs,
        cost=total[:, 0],
        compile_seconds=compile_seconds,
    )


@cache
def _compiled_interval(rest: AbstractTask, arrays: AbstractTask, episodes: tuple[int, int]) -> Callable:
    """`_interval` of a task in two parts: its arrays, of which the types are given, and all else; "seeds episodes"."""

    def call(arrays, *others):
        return _interval(eqx.combine(arrays, rest), *others)

    with jax.enable_x64(True):
        t, xs, us = (
            jax.ShapeDtypeStruct(shape, np.float64)
            for shape in ((), (*episodes, len(rest.states)), (*episodes, len(rest.controls)))
        )
        return jax.jit(call).lower(arrays, t, xs, us).compile(compilation.quick_options())


def _interval(
    task: AbstractTask, t: Scalar, xs: Float[Array, "seeds episodes n"], us: Float[Array, "seeds episodes m"]
) -> tuple:
    """One interval, of the first half of each seed's episodes by the adaptive solver and of the other on the finer
    grid: (states, controls in bounds, running costs, (terminal costs, misses of end-state targets if it was the last)).
    """
    # No fewer solver steps an interval than before, also where a long interval had more than `substeps`.
    fine = dataclasses.replace(task, num_steps=FINER * task.num_steps, substeps=task.solver_steps)

    def finer(t, x, u):
        x, costs = jax.lax.scan(lambda x, i: transition(fine, t + i * fine.dt, x, u), x, jnp.arange(FINER))
        return x, jnp.sum(costs)

    def move(solver, x, u):
        u = clip(task, u)
        x, cost = solver(t, x, u)
        return x, u, cost, (task.terminal_cost(x), end_error(task, x))

    def halves(a):  # all episodes on one axis: a second one more than doubles the time to trace the solvers
        return (half.reshape(-1, half.shape[-1]) for half in jnp.split(a, 2, axis=1))

    solvers = partial(adaptive_transition, task), finer
    both = [jax.vmap(partial(move, solver))(x, u) for solver, x, u in zip(solvers, halves(xs), halves(us), strict=True)]
    return jax.tree.map(lambda *a: jnp.concatenate([h.reshape(len(xs), -1, *h.shape[1:]) for h in a], axis=1), *both)
