"""The return along one or two directions, under the true simulator and under models, and where ascent on each ends.

    J(α) = J(u(α)),    u(α) = ū + α₁ d₁ (+ α₂ d₂)     or     u(α) = π_{θ + α₁ d₁ (+ α₂ d₂)}(t, x[t]) at fixed states

ū holds every control in the middle of its range. α runs over [-1, 1]; at ±1 the largest control, or weight, has moved
by half its range, or by 1. The direction `first` is the first control (each of its components one direction).

Ascent is by normalised gradients with a step that shrinks from 2 % to 0.02 % of the range of α, from starts spread
evenly; one that ends where the true return is within a tenth of the gap between its best and its median over the grid
has reached the best basin.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from bench import registry
from bench.gradients import differentiate
from bench.gradients.measure import lyapunov
from bench.gradients.records import SIMULATOR, Landscape, Surface, share_in_best_basin
from bench.machine import compilation
from bench.machine.provenance import provenance
from bench.method import AbstractModelMethod
from bench.records.reference import References
from bench.reference.fingerprint import fingerprint
from tasks.base import AbstractTask

Direction = Literal["first", "gradient", "random"]
Space = Literal["controls", "policy"]
BATCH = 32


@dataclass(frozen=True)
class Request:
    """`models` are fitted to the `episodes` of warm-up that the first of them collects."""

    suite: str
    task: str
    models: tuple[str, ...]
    seed: int
    direction: Direction = "first"
    space: Space = "controls"
    plane: bool = False  # two directions
    points: int = 201  # per direction of a line; a plane has as many in all as 5 lines
    episodes: int = 50
    updates: int = 1200
    starts: int = 64
    task_settings: dict[str, Any] = field(default_factory=dict)


def survey(request: Request, references: References) -> list[Landscape]:
    """The landscape of a task, as the only element."""
    compilation.enable_cache()
    task = registry.task(request.task, request.task_settings)
    methods = {name: _method(name, request.episodes) for name in request.models}
    collector = methods[request.models[0]]
    keys = jr.split(jr.key(request.seed), 4)
    state = eqx.filter_jit(collector.init)(task, keys[0])
    episodes = collector.collected(state)
    surfaces = []
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda leaf: _cast(leaf, jnp.float64), (task.x0, state))
        line, size = _line(request, task, collector, exact[1], exact[0], keys[1])
        grid = _grid(size, request.points)
        truth = partial(_value, task, differentiate.simulator(task, exact[0]))
        true_return, _ = _on_grid(truth, line, grid)
        starts = _starts(size, request.starts)
        surfaces.append(_surface(SIMULATOR, truth, truth, line, grid, starts, true_return))
    plain = jax.tree.map(lambda leaf: _cast(leaf, jnp.float32), line)
    for name, method in methods.items():
        fit, advance = method.begin_fit(task, episodes, keys[2]), eqx.filter_jit(method.fit)
        for i in range(-(-request.updates // method.updates_per_fit)):
            fit = advance(fit, episodes, jr.fold_in(keys[3], i))
        own = partial(_value, task, differentiate.imagined(task, fit.model, task.x0))
        surfaces.append(_surface(name, own, truth, plain, grid, starts, true_return, exact_line=line))
    return [
        Landscape(
            suite=request.suite,
            task=request.task,
            num_steps=task.num_steps,
            seed=request.seed,
            direction=request.direction,
            space=request.space,
            lyapunov=lyapunov(task, references),
            alphas=np.asarray(grid, float).tolist(),
            surfaces=[asdict(surface) for surface in surfaces],
            fingerprint=fingerprint(task),
            provenance=provenance(),
        )
    ]


class Line(eqx.Module):
    """u(α): a base and directions, of controls or of a policy's parameters."""

    base: Float[Array, "..."]
    directions: Float[Array, "directions ..."]
    context: Any  # arrays that `act` needs
    act: Callable = eqx.field(static=True)  # of (context, a point of the line)

    def __call__(self, alpha: Float[Array, " directions"]) -> Float[Array, "steps m"]:
        return self.act(self.context, self.base + jnp.tensordot(alpha, self.directions, 1))


def _line(request, task, method, state, x0, key) -> tuple[Line, int]:
    """The line or plane, and how many directions it has."""
    low, high = (jnp.asarray(bound, x0.dtype) for bound in task.bounds)
    middle = jnp.broadcast_to((low + high) / 2, (task.num_steps, len(low)))
    count = 2 if request.plane else 1
    if request.space == "policy":
        xs, _ = differentiate.on_policy(task, method, state, x0)
        base, context = ravel_pytree(method.parameters(state))[0], (state, xs)

        def act(context, at):
            state, xs = context
            parameters = ravel_pytree(method.parameters(state))[1](at)
            return differentiate.controls(task, method, method.with_parameters(state, parameters), xs)
    else:
        base, context, act = middle, (), _itself

    if request.direction == "first":
        if request.space == "policy":
            raise registry.SettingError(
                "the direction 'first' is of controls. Give 'gradient' or 'random' for a policy."
            )
        count = min(count, len(low))
        directions = jnp.zeros((count, *middle.shape))
        for i in range(count):
            directions = directions.at[i, 0, i].set((high - low)[i] / 2)
        return Line(base, directions, context, act), count
    directions = jr.normal(key, (count, *base.shape), base.dtype)
    if request.direction == "gradient":
        path = differentiate.simulator(task, x0)
        directions = directions.at[0].set(-jax.grad(lambda at: -_value(task, path, act(context, at)))(base))
    unit = (high - low) / 2 if request.space == "controls" else 1.0
    largest = jnp.max(jnp.abs(directions / unit), axis=tuple(range(1, directions.ndim)), keepdims=True)
    return Line(base, directions / largest, context, act), count


def _itself(context: Any, at: Any) -> Any:
    return at


def _value(task: AbstractTask, path: differentiate.Path, us: Any) -> Any:
    """The return, minus the cost."""
    xs, running = path(us)
    return -(jnp.sum(running) + task.terminal_cost(xs[-1]))


def _surface(name, own, truth, line, grid, starts, true_return, exact_line=None) -> Surface:
    values, slopes = _on_grid(own, line, grid)
    ends = _ascend(own, line, starts)
    with jax.enable_x64(True):
        reached, _ = _on_grid(truth, exact_line or line, _cast(ends, jnp.float64))
    share = share_in_best_basin(np.asarray(true_return), np.asarray(reached))
    return Surface(name, _plain(values), _plain(slopes), _plain(ends), _plain(reached), share)


def _on_grid(value, line, grid):
    """Values "points" and slopes "points directions"."""

    def at(alpha):
        return jax.value_and_grad(lambda a: value(line(a)))(alpha)

    return eqx.filter_jit(partial(jax.lax.map, at, batch_size=BATCH))(jnp.asarray(grid, line.base.dtype))


def _ascend(value, line, starts):
    """Where ascent from each start ends."""

    sizes = jnp.linspace(0.04, 0.0004, 100, dtype=jnp.float32)  # 2 in all: the length of the range of α

    def from_start(alpha):
        def step(alpha, size):
            slope = jax.grad(lambda a: value(line(a)))(alpha)
            norm = jnp.linalg.norm(slope)
            moved = jnp.clip(alpha + size * slope / jnp.maximum(norm, 1e-30), -1.0, 1.0)
            return jnp.where(jnp.isfinite(norm), moved, alpha), None  # a step that cannot be taken is left out

        return jax.lax.scan(step, alpha, sizes.astype(alpha.dtype))[0]

    return eqx.filter_jit(partial(jax.lax.map, from_start, batch_size=BATCH))(jnp.asarray(starts, line.base.dtype))


def _grid(directions: int, points: int):
    side = points if directions == 1 else round((5 * points) ** 0.5)
    ticks = np.linspace(-1, 1, side)
    return np.stack(np.meshgrid(*[ticks] * directions, indexing="ij"), -1).reshape(-1, directions)


def _starts(directions: int, count: int):
    """Evenly spread, none on the edge."""
    side = count if directions == 1 else round(count**0.5)
    ticks = (np.arange(side) + 0.5) / side * 2 - 1
    return np.stack(np.meshgrid(*[ticks] * directions, indexing="ij"), -1).reshape(-1, directions)


def _method(name: str, episodes: int) -> AbstractModelMethod:
    method = registry.method(name)
    if not isinstance(method, AbstractModelMethod):
        raise registry.SettingError(f"'{name}' fits no world model. Give methods that do.")
    return method.warmed_up(episodes)


def _cast(leaf: Any, dtype: Any) -> Any:
    """A leaf of real numbers in another precision."""
    return jnp.asarray(np.asarray(leaf), dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def _plain(values: Any) -> list[Any]:
    """As lists for JSON; None for what is not finite."""
    array = np.asarray(values, float)
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()
