"""Score policies again, by an adaptive solver and on a finer grid: does a policy live off the simulator's errors?

The loop over intervals is Python's. So the solvers are compiled once for a task, whatever the method, and a method adds
one call of its policy. A scan over everything would compile for seconds in every cell.
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from bench import violations
from bench.machine import compilation
from bench.noisy_task import plant_of
from bench.precision import float64
from bench.records import trajectory
from bench.simulate import AbstractPolicy, adaptive_transition, clip, end_error, path_violation, transition
from bench.training.evaluation_noise import EvaluationNoise
from tasks.base import AbstractTask, Scalar

GRID_REFINEMENT = 4  # intervals of the finer grid in one of the task's


@dataclasses.dataclass(frozen=True)
class Rescore:
    """Closed-loop episodes of trained policies in float64, with every control held as in training.

    Scores are means over the starts, nan where an episode was lost on the way: `adaptive` the cost by a solver at rtol
    1e-8, `finer` the cost on a grid GRID_REFINEMENT times as fine, `end_error` the largest miss of an end-state target
    by the adaptive solver. `violation` is the largest violation of a constraint by either, at the knots of the finer
    grid and from any start. `states`, `controls`, `costs` (running, of each interval) and `cost` (with the terminal
    one) are the adaptive solver's episodes from the first start. `compile_seconds` went into tracing and compiling all
    this.
    """

    adaptive: Float[np.ndarray, " seeds"]
    finer: Float[np.ndarray, " seeds"]
    end_error: Float[np.ndarray, " seeds"]
    violation: Float[np.ndarray, " seeds"]
    states: Float[np.ndarray, "seeds knots n"]
    controls: Float[np.ndarray, "seeds steps m"]
    costs: Float[np.ndarray, "seeds steps"]
    cost: Float[np.ndarray, " seeds"]
    compile_seconds: float

    def to_json(self) -> tuple[dict[str, Any], ...]:
        """Return what a record keeps of each seed, as values of JSON: scores, and the episode if it was not lost."""
        return tuple(map(self._seed_to_json, range(len(self.cost))))

    def _seed_to_json(self, i: int) -> dict[str, Any]:
        scores = {name: float(getattr(self, name)[i]) for name in ("adaptive", "finer", "end_error", "violation")}
        episode = {name: getattr(self, name)[i] for name in ("states", "controls", "costs", "cost")}
        return {
            "scores": {name: value if np.isfinite(value) else None for name, value in scores.items()},
            "episode": trajectory.episode_to_json(**episode) if np.isfinite(self.cost[i]) else None,
        }


def rescore(
    task: AbstractTask,
    policy: Callable[[Any], AbstractPolicy],
    states: Sequence[Any],
    starts: Float[np.ndarray, "starts n"],
) -> Rescore:
    """Score the policies of blocks of seeds again, from each of `starts`.

    `policy` makes the policy of one seed from its final state; every leaf of `states` has the seeds of its block as its
    first axis. One program scores one block after the other: a seed's bits depend on the number of seeds in its block.
    Policies compute in the precision that they were trained in. A hybrid task is reset at the end of an interval, so on
    the finer grid a reset comes sooner after its cause. A noisy task has the noise of every other evaluation, held over
    its own intervals, and the stored episodes are of its plant.
    """
    noise = EvaluationNoise.of(task)
    starts = np.broadcast_to(np.asarray(starts, np.float64), (noise.episodes or len(starts), starts.shape[1]))
    together, half = len(jax.tree.leaves(states[0])[0]), len(starts)
    # The first half of a seed's episodes is for the adaptive solver, the other for the finer grid.
    origin = np.tile(starts, (together, 2, 1))
    noise = noise.tiled(together)
    began = time.perf_counter()
    plant = plant_of(task)
    arrays, rest = eqx.partition(plant, eqx.is_array)
    with float64(plant):
        shapes = jax.tree.map(jax.typeof, arrays), origin.shape[:-1], noise.push is not None
        interval = partial(_interval_program(rest, *shapes), arrays)
    begin, act = _compiled_policy(task, policy, states[0], noise.observed(0, origin))
    compile_seconds = time.perf_counter() - began
    played = [_play(plant, interval, partial(act, each), begin(each), origin, noise) for each in states]
    episodes = _Episodes(*map(np.concatenate, zip(*played, strict=True)))
    return Rescore(
        adaptive=episodes.totals[:, :half].mean(-1),
        finer=episodes.totals[:, half:].mean(-1),
        end_error=(episodes.misses + 0 * episodes.totals)[:, :half].mean(-1),
        violation=(episodes.violations + 0 * episodes.totals).max(-1),
        states=episodes.states,
        controls=episodes.controls,
        costs=episodes.costs,
        cost=episodes.totals[:, 0],
        compile_seconds=compile_seconds,
    )


def _compiled_policy(
    task: AbstractTask,
    policy: Callable[[Any], AbstractPolicy],
    state: Any,
    origin: Float[np.ndarray, "seeds episodes n"],
) -> tuple[Callable, Callable]:
    """state -> carry and (state, t, xs, carry) -> (controls, carry), for all seeds and all episodes of each."""

    def each(call: Callable, carry: Any) -> Callable:
        call = jax.vmap(jax.vmap(call, (None, None, 0, 0)), (0, None, 0, 0))
        return jax.jit(call).lower(state, zero, xs, carry).compile(compilation.quick_options())

    zero, xs = np.zeros((), task.x0.dtype), origin.astype(task.x0.dtype)
    begin = each(lambda state, t, x, carry: policy(state).initial(), ())
    carry = begin(state, zero, xs, ())
    act = each(lambda state, t, x, carry: policy(state)(t, x, carry), carry)
    return lambda state: begin(state, zero, xs, ()), act


class _Episodes(NamedTuple):
    """Total costs, nan where an episode was lost, misses of end-state targets, violations of constraints, and the first
    episode of each seed."""

    totals: Float[np.ndarray, "seeds episodes"]
    misses: Float[np.ndarray, "seeds episodes"]
    violations: Float[np.ndarray, "seeds episodes"]
    states: Float[np.ndarray, "seeds knots n"]
    controls: Float[np.ndarray, "seeds steps m"]
    costs: Float[np.ndarray, "seeds steps"]


def _play(
    task: AbstractTask,
    interval: Callable,
    act: Callable,
    carry: Any,
    origin: Float[np.ndarray, "seeds episodes n"],
    noise: EvaluationNoise,
) -> _Episodes:
    """Play all episodes from `origin`: `act` is (t, xs, carry) -> (us, carry), `interval` as `_interval` of a task."""
    trained = task.x0.dtype
    xs, totals = origin, np.zeros(origin.shape[:-1])
    first, end, worst = [], (totals, totals, totals), totals
    with np.errstate(over="ignore"):  # an episode that blows up is lost, which is a result
        for k in range(task.num_steps):
            t = np.asarray(k, trained) * np.asarray(task.dt, trained)
            us, carry = act(t, noise.observed(k, xs).astype(trained), carry)
            us = np.asarray(us, np.float64)
            alive = np.isfinite(totals) & np.isfinite(us).all(-1)
            us = np.where(alive[..., None], us, task.bounds[0])
            with jax.enable_x64(True):
                after, us, costs, on_path, end = jax.device_get(
                    interval(np.float64(k * task.dt), xs, us, *noise.pushes(k))
                )
            worst = np.maximum(worst, on_path)
            first.append((xs[:, 0], us[:, 0], costs[:, 0]))
            totals = np.where(alive & np.isfinite(after).all(-1), totals + costs, np.nan)
            # A lost episode goes on from its start: given nan, an adaptive solver halves its steps until it gives up,
            # which takes long.
            xs = np.where(np.isfinite(totals)[..., None], after, origin)
    terminal_costs, misses, at_end = end
    states, controls, costs = (np.stack(part, axis=1) for part in zip(*first, strict=True))
    return _Episodes(
        totals=totals + terminal_costs,
        misses=misses,
        violations=np.maximum(worst, at_end),
        states=np.concatenate([states, xs[:, None, 0]], axis=1),
        controls=controls,
        costs=costs,
    )


def _interval_program(rest: AbstractTask, *shapes: Any) -> Callable:
    """Return `_compiled_interval` of these arguments; it is kept unless a field has no hash, such as a list."""
    try:
        hash(rest)
    except TypeError:
        return _compiled_interval.__wrapped__(rest, *shapes)
    return _compiled_interval(rest, *shapes)


@cache
def _compiled_interval(rest: AbstractTask, arrays: AbstractTask, episodes: tuple[int, int], pushed: bool) -> Callable:
    """Compile `_interval` for a task in two parts, the types of its arrays and all else, and for "seeds episodes".

    It is called within `float64`. The compiled function takes the arrays in place of the task.
    """

    def call(arrays, *others):
        return _interval(eqx.combine(arrays, rest), *others)

    x, u = (*episodes, len(rest.states)), (*episodes, len(rest.controls))
    shapes = [jax.ShapeDtypeStruct(shape, np.float64) for shape in [(), x, u, *([x] if pushed else [])]]
    return jax.jit(call).lower(arrays, *shapes).compile(compilation.quick_options())


def forget_programs() -> None:
    """Forget the solvers that were compiled, because the code of a task has changed."""
    _compiled_interval.cache_clear()


def _interval(
    task: AbstractTask,
    t: Scalar,
    xs: Float[Array, "seeds episodes n"],
    us: Float[Array, "seeds episodes m"],
    push: Float[Array, "seeds episodes n"] | None = None,
) -> tuple:
    """Simulate one interval: the first half of each seed's episodes by the adaptive solver, the others on the finer
    grid.

    Returns (states, controls in bounds, running costs, violations on the way, (terminal costs, misses of end-state
    targets, violations at the end)), the last three as if this interval was the last.
    """
    # A fine interval takes as many solver steps as a whole one, also where that was long and had more than `substeps`.
    fine = dataclasses.replace(task, num_steps=GRID_REFINEMENT * task.num_steps, substeps=task.solver_steps)

    def finer(t, x, u, push):
        def part(x, i):
            after, cost = transition(fine, t + i * fine.dt, x, u, push)
            return after, (cost, path_violation(fine, t + i * fine.dt, x, after, u))

        x, (costs, on_path) = jax.lax.scan(part, x, jnp.arange(GRID_REFINEMENT))
        return x, jnp.sum(costs), jnp.max(on_path)

    def adaptive(t, x, u, push):
        after, cost = adaptive_transition(task, t, x, u, push)
        return after, cost, path_violation(task, t, x, after, u)

    def move(solver, x, u, push):
        u = clip(task, u)
        x, cost, on_path = solver(t, x, u, push)
        return x, u, cost, on_path, (task.terminal_cost(x), end_error(task, x), violations.at_end(task, x))

    def halves(a):  # all episodes on one axis: a second one more than doubles the time to trace the solvers
        return [None, None] if a is None else [h.reshape(-1, h.shape[-1]) for h in jnp.split(a, 2, axis=1)]

    parts = zip((adaptive, finer), halves(xs), halves(us), halves(push), strict=True)
    both = [jax.vmap(partial(move, solver))(*part) for solver, *part in parts]
    return jax.tree.map(lambda *a: jnp.concatenate([h.reshape(len(xs), -1, *h.shape[1:]) for h in a], axis=1), *both)
