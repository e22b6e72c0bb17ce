"""Score policies again, by an adaptive solver and on a finer grid: does a policy live off the simulator's errors?

A method adds one call of its policy to the solvers that are compiled for its task (see `bench.training.closed_loop`).
"""

import dataclasses
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from bench.machine import compilation
from bench.records import trajectory
from bench.simulate import AbstractPolicy
from bench.training.closed_loop import ClosedLoop, Episodes
from tasks.base import AbstractTask


@dataclasses.dataclass(frozen=True)
class Rescore:
    """Closed-loop episodes of trained policies in float64, with every control held as in training.

    Scores are means over the starts, nan where an episode was lost on the way: `adaptive` the cost by a solver at rtol
    1e-8, `finer` the cost on a grid four times as fine, `end_error` the largest miss of an end-state target
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
    began = time.perf_counter()
    loop = ClosedLoop.of(task, starts, together=len(jax.tree.leaves(states[0])[0]))
    begin, act = _compiled_policy(task, policy, states[0], loop.noise.observed(0, loop.origin))
    compile_seconds = time.perf_counter() - began
    return _judged([loop.play(partial(act, each), begin(each)) for each in states], compile_seconds)


def rescore_agent(
    task: AbstractTask,
    act: Callable[[int, Float[np.ndarray, "episodes observed"]], Float[np.ndarray, "episodes m"]],
    starts: Float[np.ndarray, "starts n"],
) -> Rescore:
    """Score an agent again that is no program of JAX, as `rescore` does; it has no memory.

    `act` maps k and observations at knot k, in the task's precision, to controls.
    """
    began = time.perf_counter()
    loop = ClosedLoop.of(task, starts, together=1)
    compile_seconds = time.perf_counter() - began

    def of_one_seed(k, xs, carry):
        return act(k, xs[0])[None], carry

    return _judged([loop.play(of_one_seed, ())], compile_seconds)


def _judged(played: Sequence[Episodes], compile_seconds: float) -> Rescore:
    episodes = Episodes(*map(np.concatenate, zip(*played, strict=True)))
    half = episodes.totals.shape[1] // 2
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
    times = np.arange(task.num_steps).astype(zero.dtype) * np.asarray(task.dt, zero.dtype)
    return lambda state: begin(state, zero, xs, ()), lambda state, k, xs, carry: act(state, times[k], xs, carry)
