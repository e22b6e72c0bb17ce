"""Gradients of costs over all horizons at once, by one forward pass and one backward pass each.

    J_h(u) = Σ_{t<h} c_t + Φ(x[h])       c_t the running cost of interval t, Φ the terminal cost

The simulator and every model are a `Path`: from controls to states and running costs. With the states that the policy
reads fixed, ∇_θ J = Σ_t (∂π/∂θ)ᵀ ∂J/∂u[t], so models differ in ∂J/∂u alone, and all are compared at the same controls.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from bench.method import AbstractModelMethod, Model
from bench.simulate import open_loop, rollout, trapezoid_costs
from tasks.base import AbstractTask

States = Float[Array, "knots n"]
Controls = Float[Array, "steps m"]
Path = Callable[[Controls], tuple[States, Float[Array, " steps"]]]


class Heads(NamedTuple):
    """What is differentiated: sums of running costs with `weights`, plus the terminal cost at knot `ends`."""

    weights: Float[Array, "heads steps"]
    ends: Int[Array, " heads"]


def heads(steps: int, horizons: tuple[int, ...]) -> Heads:
    """The costs of all horizons and, last, what the whole horizon costs in its last interval and at its end."""
    t = jnp.arange(steps)
    weights = [*(jnp.where(t < h, 1.0, 0.0) for h in horizons), jnp.where(t == steps - 1, 1.0, 0.0)]
    return Heads(jnp.stack(weights), jnp.array([*horizons, steps]))


def simulator(task: AbstractTask, x0: Float[Array, " n"]) -> Path:
    """The true states and costs."""

    def path(us):
        episode = open_loop(task, us, x0)
        return episode.xs, episode.costs

    return path


def predicted(task: AbstractTask, model: Model, xs: States, us: Controls) -> Path:
    """A model's states, corrected by its constant error on the real episode (xs, us), as the methods do by default: the
    costs are differentiated at the real states, and the model contributes its Jacobians."""
    errors = jax.lax.stop_gradient(xs[1:] - model(xs[0], us))

    def path(us):
        states = jnp.concatenate([xs[:1], model(xs[0], us) + errors])
        return states, trapezoid_costs(task, states, us)

    return path


def imagined(task: AbstractTask, model: Model, x0: Float[Array, " n"]) -> Path:
    """A model's own states, as it imagines them from x0."""

    def path(us):
        states = jnp.concatenate([x0[None], model(x0, us)])
        return states, trapezoid_costs(task, states, us)

    return path


def costs(task: AbstractTask, path: Path, us: Controls, of: Heads) -> Float[Array, " heads"]:
    """The values of the heads."""
    xs, running = path(us)
    return of.weights @ running + jax.vmap(lambda end: task.terminal_cost(xs[end]))(of.ends)


def by_controls(task: AbstractTask, path: Path, us: Controls, of: Heads) -> Float[Array, "heads steps m"]:
    """The gradients of the heads."""
    (xs, _), pull = jax.vjp(path, us)

    def gradient(weights, end):
        at_end = jax.grad(task.terminal_cost)(xs[end])
        return pull((jnp.zeros_like(xs).at[end].set(at_end), weights.astype(xs.dtype)))[0]

    return jax.vmap(gradient)(*of)


def by_parameters(
    task: AbstractTask, method: AbstractModelMethod, state: Any, xs: States, gradients: Float[Array, "heads steps m"]
) -> Float[Array, "heads parameters"]:
    """Gradients by controls pulled back to the policy's parameters at fixed states."""
    _, pull = jax.vjp(lambda p: controls(task, method, method.with_parameters(state, p), xs), method.parameters(state))
    return jax.vmap(lambda g: ravel_pytree(pull(g.astype(xs.dtype)))[0])(gradients)


def controls(task: AbstractTask, method: AbstractModelMethod, state: Any, xs: States) -> Controls:
    """What the policy does in the states xs."""
    policy, ts = method.policy(task, state), task.dt * jnp.arange(task.num_steps)
    return jax.vmap(lambda t, x: policy(t, x, policy.initial())[0])(ts, xs[:-1])


def on_policy(task: AbstractTask, method: AbstractModelMethod, state: Any, x0: Float[Array, " n"]) -> tuple[Any, Any]:
    """States and controls of an episode of the policy."""
    episode = rollout(task, method.policy(task, state), x0)
    return episode.xs, episode.us


def same_weights(model: Model, other: Model) -> Model:
    """`other`, of the same arrays, with the weights of `model`."""
    return jax.tree.unflatten(jax.tree.structure(other), jax.tree.leaves(model))


def finite_differences(
    task: AbstractTask, path: Path, us: Controls, of: Heads, direction: Controls, size: float
) -> Float[Array, " heads"]:
    """Central differences of the heads along a direction."""
    return (costs(task, path, us + size * direction, of) - costs(task, path, us - size * direction, of)) / (2 * size)


def is_inside(task: AbstractTask, us: Controls, margin: float) -> Any:
    """1 where a control can move by `margin` of its range both ways, else 0: bounds clip."""
    low, high = task.bounds
    gap = margin * (high - low)
    return jnp.where((us > low + gap) & (us < high - gap), 1.0, 0.0)
