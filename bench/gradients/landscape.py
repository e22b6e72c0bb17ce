"""The return along one or two directions, under the simulator and under models, and where ascent on each ends.

    J(α) = J(u(α))

The controls u(α) are a `Slice` (slices.py), and α runs over [-1, 1].

Ascent takes normalised gradient steps that shrink from 2 % to 0.02 % of the range of α, from starts spread evenly. An
ascent has reached the best basin if it ends where the true return is within a tenth of the gap between its best and its
median over the grid.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from bench import registry
from bench.analysis.stats import Floats
from bench.gradients import differentiate
from bench.gradients.measure import lyapunov
from bench.gradients.metrics import finite_or_none
from bench.gradients.offline import fixed_data
from bench.gradients.records import SIMULATOR, Landscape, Surface, share_in_best_basin
from bench.gradients.slices import Direction, Slice, Space, make_slice
from bench.machine import compilation
from bench.machine.provenance import provenance
from bench.method import AbstractModelMethod, Model
from bench.precision import float64
from bench.records.references import References
from bench.reference.fingerprint import fingerprint
from tasks.base import AbstractTask

BATCH = 32  # points that are simulated at once
ASCENT_STEPS = 100
LARGEST_STEP, SMALLEST_STEP = 0.04, 0.0004  # in units of α; together about 2, the length of its range


@dataclass(frozen=True)
class Request:
    """What to survey: `models`, fitted to the `episodes` of warm-up that the first of them collects.

    `offline` fits them to a fixed data set instead (offline.py).

    The fields' names and values name the file of the result.
    """

    suite: str
    task: str
    models: tuple[str, ...]
    seed: int
    direction: Direction = "first"
    space: Space = "controls"
    plane: bool = False  # two directions
    points: int = 201  # on a line; a plane has five times as many in all
    episodes: int = 50
    updates: int = 1200
    starts: int = 64
    offline: bool = False
    task_settings: dict[str, Any] = field(default_factory=dict)


def survey(request: Request, references: References) -> list[Landscape]:
    """Compute the landscape of a task, the only element of the list. Raises UsageError."""
    compilation.enable_cache()
    task = registry.task(request.task, request.task_settings)
    methods = {name: _model_method(name, request.episodes) for name in request.models}
    collector = methods[request.models[0]]
    init_key, direction_key, begin_key, fit_key = jr.split(jr.key(request.seed), 4)
    state = eqx.filter_jit(collector.init)(task, init_key)
    with float64(task):
        x0, exact_state = jax.tree.map(lambda leaf: _cast(leaf, jnp.float64), (task.x0, state))
        controls = make_slice(
            task, collector, exact_state, x0, direction_key, request.direction, request.space, request.plane
        )
        truth = _survey_truth(task, controls, x0, request.points, request.starts)
    surfaces = [truth.surface]
    rounded_controls = jax.tree.map(lambda leaf: _cast(leaf, jnp.float32), controls)
    if request.offline:
        # The key is that of the warm-up, which is not used here.
        found = eqx.filter_jit(fixed_data)(task, init_key)
        fits = {name: method.offline(task, found) for name, method in methods.items()}
    else:
        fits = {name: (method, collector.collected(state)) for name, method in methods.items()}
    for name, model in _fitted_models(fits, task, request.updates, begin_key, fit_key):
        value = partial(differentiate.total_return, task, differentiate.model_dynamics(task, model, task.x0))
        surfaces.append(_survey_model(name, value, rounded_controls, truth))
    return [
        Landscape(
            suite=request.suite,
            task=request.task,
            num_steps=task.num_steps,
            seed=request.seed,
            direction=request.direction,
            space=request.space,
            lyapunov=lyapunov(task, references),
            alphas=np.asarray(truth.grid, float).tolist(),
            surfaces=[asdict(surface) for surface in surfaces],
            fingerprint=fingerprint(task),
            provenance=provenance(),
            offline=request.offline,
        )
    ]


def _model_method(name: str, episodes: int) -> AbstractModelMethod:
    method = registry.method(name)
    if not isinstance(method, AbstractModelMethod):
        raise registry.SettingError(f"'{name}' fits no world model. Give methods that do.")
    return method.warmed_up(episodes)


def _fitted_models(
    methods: dict[str, tuple[AbstractModelMethod, Any]],
    task: AbstractTask,
    updates: int,
    begin_key: Any,
    fit_key: Any,
) -> Iterator[tuple[str, Model]]:
    """The model of each method, by name, after at least `updates` updates on its episodes."""
    for name, (method, episodes) in methods.items():
        fits = -(-updates // method.updates_per_fit)
        method = method.for_fits(fits)
        fit, advance = method.begin_fit(task, episodes, begin_key), eqx.filter_jit(method.fit)
        for i in range(fits):
            fit = advance(fit, episodes, jr.fold_in(fit_key, i))
        yield name, fit.model


class _Truth(NamedTuple):
    """The simulator's surface, and what surveys of models share with it."""

    surface: Surface
    value: Callable  # the true return of controls
    controls: Slice  # in float64
    grid: Floats  # "points directions"
    starts: Floats  # "starts directions"
    returns: Floats  # the true return at the grid


def _survey_truth(task: AbstractTask, controls: Slice, x0: Any, num_points: int, num_starts: int) -> _Truth:
    value = partial(differentiate.total_return, task, differentiate.simulator_dynamics(task, x0))
    directions = len(controls.directions)
    grid, starts = _grid(directions, num_points), _ascent_starts(directions, num_starts)
    returns, slopes = _on_grid(value, controls, grid)
    ends = _ascend(value, controls, starts)
    end_returns, _ = _on_grid(value, controls, ends)
    surface = _surface(SIMULATOR, returns, slopes, ends, end_returns, returns)
    return _Truth(surface, value, controls, grid, starts, np.asarray(returns))


def _survey_model(name: str, value: Callable, controls: Slice, truth: _Truth) -> Surface:
    returns, slopes = _on_grid(value, controls, truth.grid)
    ends = _ascend(value, controls, truth.starts)
    with jax.enable_x64(True):
        end_returns, _ = _on_grid(truth.value, truth.controls, _cast(ends, jnp.float64))
    return _surface(name, returns, slopes, ends, end_returns, truth.returns)


def _surface(name: str, returns: Any, slopes: Any, ends: Any, end_returns: Any, true_returns: Any) -> Surface:
    share = share_in_best_basin(np.asarray(true_returns), np.asarray(end_returns))
    numbers = (finite_or_none(each) for each in (returns, slopes, ends, end_returns))
    return Surface(name, *numbers, reached=share)


def _on_grid(value: Callable, controls: Slice, grid: Any) -> tuple[Any, Any]:
    """Values "points" and slopes "points directions" of `value` along a slice."""

    def at(alpha):
        return jax.value_and_grad(lambda a: value(controls(a)))(alpha)

    return eqx.filter_jit(partial(jax.lax.map, at, batch_size=BATCH))(jnp.asarray(grid, controls.base.dtype))


def _ascend(value: Callable, controls: Slice, starts: Any) -> Any:
    """The points "starts directions" where ascent from each start ends."""
    sizes = jnp.linspace(LARGEST_STEP, SMALLEST_STEP, ASCENT_STEPS, dtype=jnp.float32)

    def from_start(alpha):
        def step(alpha, size):
            slope = jax.grad(lambda a: value(controls(a)))(alpha)
            norm = jnp.linalg.norm(slope)
            moved = jnp.clip(alpha + size * slope / jnp.maximum(norm, 1e-30), -1.0, 1.0)
            return jnp.where(jnp.isfinite(norm), moved, alpha), None  # a step without a finite gradient is skipped

        return jax.lax.scan(step, alpha, sizes.astype(alpha.dtype))[0]

    return eqx.filter_jit(partial(jax.lax.map, from_start, batch_size=BATCH))(jnp.asarray(starts, controls.base.dtype))


def _grid(directions: int, points: int) -> Floats:
    """Points "points directions" over [-1, 1], the edges included."""
    side = points if directions == 1 else round((5 * points) ** 0.5)
    return _cartesian_power(np.linspace(-1, 1, side), directions)


def _ascent_starts(directions: int, count: int) -> Floats:
    """Points "starts directions" spread evenly over [-1, 1], none on the edge."""
    side = count if directions == 1 else round(count**0.5)
    return _cartesian_power((np.arange(side) + 0.5) / side * 2 - 1, directions)


def _cartesian_power(ticks: Floats, directions: int) -> Floats:
    return np.stack(np.meshgrid(*[ticks] * directions, indexing="ij"), -1).reshape(-1, directions)


def _cast(leaf: Any, dtype: Any) -> Any:
    """A leaf of real numbers in another precision; any other leaf as it is."""
    return jnp.asarray(np.asarray(leaf), dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
