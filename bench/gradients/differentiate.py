"""Gradients of the costs over all horizons, by one forward pass and one backward pass for each horizon.

    J_h(u) = Σ_{t<h} c_t + Φ(x[h])       c_t the running cost of interval t, Φ the terminal cost

The simulator and every model are `Dynamics`: they map controls to states and running costs. If the states that the
policy reads are fixed, ∇_θ J = Σ_t (∂π/∂θ)ᵀ ∂J/∂u[t]. Models then differ in ∂J/∂u alone, and all are compared at the
same controls.
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
Dynamics = Callable[[Controls], tuple[States, Float[Array, " steps"]]]


class Objectives(NamedTuple):
    """Costs to differentiate: running costs summed with `weights`, plus the terminal cost at the knots `ends`."""

    weights: Float[Array, "objectives steps"]
    ends: Int[Array, " objectives"]


def horizon_objectives(steps: int, horizons: tuple[int, ...]) -> Objectives:
    """The cost over each horizon, then "the last cost": the last interval's running cost plus the terminal cost."""
    t = jnp.arange(steps)
    weights = [*(jnp.where(t < h, 1.0, 0.0) for h in horizons), jnp.where(t == steps - 1, 1.0, 0.0)]
    return Objectives(jnp.stack(weights), jnp.array([*horizons, steps]))


def simulator_dynamics(task: AbstractTask, x0: Float[Array, " n"]) -> Dynamics:
    """The true states and running costs from x0."""

    def dynamics(us):
        episode = open_loop(task, us, x0)
        return episode.xs, episode.costs

    return dynamics


def corrected_model_dynamics(task: AbstractTask, model: Model, xs: States, us: Controls) -> Dynamics:
    """A model's states plus its constant error on the real episode (xs, us), as methods use them by default.

    At `us` the corrected states are the real ones. So costs are differentiated at the real states, and the model
    contributes its Jacobians alone.
    """
    errors = jax.lax.stop_gradient(xs[1:] - model(xs[0], us))

    def dynamics(us):
        states = jnp.concatenate([xs[:1], model(xs[0], us) + errors])
        return states, trapezoid_costs(task, states, us)

    return dynamics


def model_dynamics(task: AbstractTask, model: Model, x0: Float[Array, " n"]) -> Dynamics:
    """The states that a model imagines from x0, without correction."""

    def dynamics(us):
        states = jnp.concatenate([x0[None], model(x0, us)])
        return states, trapezoid_costs(task, states, us)

    return dynamics


def costs(task: AbstractTask, dynamics: Dynamics, us: Controls, objectives: Objectives) -> Float[Array, " objectives"]:
    """The values of the objectives."""
    xs, running = dynamics(us)
    return objectives.weights @ running + jax.vmap(lambda end: task.terminal_cost(xs[end]))(objectives.ends)


def total_return(task: AbstractTask, dynamics: Dynamics, us: Controls) -> Float[Array, ""]:
    """The return of an episode: minus its cost over the whole horizon."""
    xs, running = dynamics(us)
    return -(jnp.sum(running) + task.terminal_cost(xs[-1]))


def by_controls(
    task: AbstractTask, dynamics: Dynamics, us: Controls, objectives: Objectives
) -> Float[Array, "objectives steps m"]:
    """The gradients of the objectives by the controls."""
    (xs, _), pull = jax.vjp(dynamics, us)

    def gradient(weights, end):
        at_end = jax.grad(task.terminal_cost)(xs[end])
        return pull((jnp.zeros_like(xs).at[end].set(at_end), weights.astype(xs.dtype)))[0]

    return jax.vmap(gradient)(*objectives)


def by_parameters(
    task: AbstractTask,
    method: AbstractModelMethod,
    state: Any,
    xs: States,
    gradients: Float[Array, "objectives steps m"],
) -> Float[Array, "objectives parameters"]:
    """Pull gradients by the controls back to the policy's parameters, with the states xs that it reads fixed."""
    _, pull = jax.vjp(
        lambda p: policy_controls(task, method, method.with_parameters(state, p), xs), method.parameters(state)
    )
    return jax.vmap(lambda g: ravel_pytree(pull(g.astype(xs.dtype)))[0])(gradients)


def policy_controls(task: AbstractTask, method: AbstractModelMethod, state: Any, xs: States) -> Controls:
    """The controls that the policy applies in the states xs."""
    policy, ts = method.policy(task, state), task.dt * jnp.arange(task.num_steps)
    return jax.vmap(lambda t, x: policy(t, x, policy.initial())[0])(ts, xs[:-1])


def policy_episode(
    task: AbstractTask, method: AbstractModelMethod, state: Any, x0: Float[Array, " n"]
) -> tuple[States, Controls]:
    """The true states and the controls of an episode of the policy from x0."""
    episode = rollout(task, method.policy(task, state), x0)
    return episode.xs, episode.us


def with_weights_of(source: Model, target: Model) -> Model:
    """The model `target` with the weights of `source`, which has arrays of the same shapes."""
    return jax.tree.unflatten(jax.tree.structure(target), jax.tree.leaves(source))


def finite_differences(
    task: AbstractTask, dynamics: Dynamics, us: Controls, objectives: Objectives, direction: Controls, size: float
) -> Float[Array, " objectives"]:
    """Central differences of the objectives along a direction, at distance `size` on either side."""
    above = costs(task, dynamics, us + size * direction, objectives)
    return (above - costs(task, dynamics, us - size * direction, objectives)) / (2 * size)


def interior_mask(task: AbstractTask, us: Controls, margin: float) -> Controls:
    """1 where a control is farther than `margin` of its range from both bounds, else 0.

    A control nearer to a bound would be clipped when it is moved.
    """
    low, high = task.bounds
    gap = margin * (high - low)
    return jnp.where((us > low + gap) & (us < high - gap), 1.0, 0.0)
