"""Backpropagation-based policy optimisation through a learned world model (Ma et al., ICML 2024, algorithm 1).

Repeat: collect episodes with the policy π_θ plus noise; fit the model x̂[1..H] = g(x[0], u[0..H-1]) on the replay; and
descend

    J(θ) = Σ_t ½ Δt (g(t, x̂[t], u[t]) + g(t + Δt, x̂[t+1], u[t])) + Φ(x̂[H]),      u[t] = π_θ(t, sg(s[t]))

by differentiating through the model. sg cuts the gradient through the state that the policy reads (`cut_feedback`).
With the cut, all controls are computed at once from fixed states and one call of the model predicts all states: for an
actions world model neither pass is sequential, and the gradient is exact. The states come from

    states = "real"        the replay: s[t] = x[t], and the model's error on that episode is added to x̂ as a constant
    states = "imagined"    a decode of the model under the current policy

Spends `episodes` whole episodes a step and `warmup` before the first.
"""

import dataclasses
import inspect
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Key

from baselines.exploration import Perturbed, ou_noise, warmup_episode
from baselines.networks import MLP, FeedbackPolicy, Scales, adam, both_ways, policy_network
from baselines.replay import Replay, below
from baselines.world_models import AbstractWorldModel
from bench.budget import Usage
from bench.method import AbstractModelMethod, Between, Fit
from bench.simulate import clip, rollout, trapezoid_costs
from tasks.base import AbstractTask


class ModelGradientState(eqx.Module):
    net: MLP
    model: AbstractWorldModel
    net_optimiser: optax.OptState
    model_optimiser: optax.OptState
    replay: Replay
    cost_scale: Float[Array, ""]


class ModelGradient(AbstractModelMethod[ModelGradientState]):
    """Policy gradients through a world model, which is a field: a class, or a partial with its hyperparameters."""

    search: ClassVar = {
        "policy_learning_rate": Between(5e-4, 2e-2, log=True),
        "model_learning_rate": Between(2e-4, 1e-2, log=True),
        "noise": Between(0.05, 0.6, log=True),
        "imagined_noise": Between(0.02, 0.5, log=True),
    }
    paced: ClassVar = ("model_updates", "policy_updates")

    model: Callable[..., AbstractWorldModel]
    states: Literal["real", "imagined"] = "real"
    cut_feedback: bool = True
    open_loop: bool = False  # the policy reads the time alone
    warmup: int = 10  # episodes
    episodes: int = 2  # per step
    noise: float = 0.3  # of the noisiest episode of a step; the least noisy has a half of it for two
    imagined_noise: float = 0.1
    model_updates: int = 60  # per step
    policy_updates: int = 50
    model_batch: int = 8  # trajectories, half of them from the last `recent` steps
    policy_batch: int = 4
    recent: int = 5
    model_learning_rate: float = 1e-3
    policy_learning_rate: float = 3e-3
    decay_steps: int = 20  # steps over which a cosine takes both rates to a tenth
    width: int = 64  # of the policy
    capacity: int = 250  # episodes kept; a checkpoint writes them all

    def __check_init__(self):
        if not self.cut_feedback and self.states == "real":
            raise ValueError(
                "cut_feedback=false needs states=imagined: a policy that reads real states has no feedback to cut."
            )

    def usage(self, task):
        updates = self.model_updates + self.policy_updates
        spent = self.episodes * task.num_steps
        return Usage(spent, init_env_steps=self.warmup * task.num_steps, updates=updates)

    def init(self, task, key):
        warmup_key, net_key, model_key = jr.split(key, 3)
        batch = jax.vmap(lambda k: warmup_episode(task, k))(jr.split(warmup_key, self.warmup))
        replay = Replay.empty(task, self.capacity).add(batch)
        net = policy_network(task, self.width, len(task.controls), key=net_key)
        model, model_optimiser = self.begin_fit(task, replay, model_key)
        return ModelGradientState(
            net,
            model,
            self._net_optimiser().init(eqx.filter(net, eqx.is_array)),
            model_optimiser,
            replay,
            jnp.std(batch.cost) + 1e-6 * jnp.abs(jnp.mean(batch.cost)) + 1e-12,
        )

    def step(self, task, state, key):
        collect_key, fit_key, improve_key = jr.split(key, 3)
        replay = state.replay.add(self._collect(task, self.policy(task, state), collect_key))
        scales = Scales.of(task, replay.xs, replay.filled)
        model = eqx.tree_at(lambda m: m.scales, state.model, scales)
        model, model_optimiser = self.fit(Fit(model, state.model_optimiser), replay, fit_key)
        net, net_optimiser = self._improve(task, state, model, replay, improve_key)
        return ModelGradientState(net, model, net_optimiser, model_optimiser, replay, state.cost_scale)

    def policy(self, task, state):
        return FeedbackPolicy(task, state.model.scales, state.net, open_loop=self.open_loop)

    def _collect(self, task, policy, key):
        amplitudes = self.noise * jnp.arange(1, self.episodes + 1) / self.episodes

        def episode(keys, amplitude):
            return rollout(task, Perturbed(policy, amplitude * ou_noise(task, keys[0])), task.start(keys[1]))

        return jax.vmap(episode)(jr.split(key, (self.episodes, 2)), amplitudes)

    def parameters(self, state):
        return state.net

    def with_parameters(self, state, parameters):
        return eqx.tree_at(lambda s: s.net, state, parameters)

    def collected(self, state):
        return state.replay

    def newest(self, state, count):
        return state.replay.newest(count)

    @property
    def updates_per_fit(self):
        return self.model_updates

    def warmed_up(self, episodes):
        return dataclasses.replace(self, warmup=episodes)

    def without_circuitous_paths(self):
        cut = inspect.signature(self.model).parameters.get("cut_predictions")
        if cut is None or cut.default:
            return None
        return dataclasses.replace(self, model=partial(self.model, cut_predictions=True))

    def begin_fit(self, task, episodes, key):
        model = self.model(Scales.of(task, episodes.xs, episodes.filled), key=key)
        return Fit(model, self._model_optimiser().init(eqx.filter(model, eqx.is_array)))

    def fit(self, fit, episodes, key):
        optimiser, replay = self._model_optimiser(), episodes

        def loss(model, rows):
            # Scales are statistics: their gradient is dropped, so the optimiser never moves them.
            model = eqx.tree_at(lambda m: m.scales, model, jax.lax.stop_gradient(model.scales))
            return jnp.mean(jax.vmap(model.residuals)(replay.xs[rows], replay.us[rows]) ** 2)

        def update(carry, keys):
            model, optimiser_state = carry
            half = self.model_batch // 2
            rows = jnp.concatenate(
                [
                    replay.sample(keys[0], self.model_batch - half, newest=self.capacity),
                    replay.sample(keys[1], half, newest=self.recent * self.episodes),
                ]
            )
            updates, optimiser_state = optimiser.update(jax.grad(loss)(model, rows), optimiser_state)
            return (eqx.apply_updates(model, updates), optimiser_state), None

        return Fit(*jax.lax.scan(update, tuple(fit), jr.split(key, (self.model_updates, 2)))[0])

    def _improve(self, task, state, model, replay, key):
        optimiser, model = self._net_optimiser(), both_ways(model)
        xs, us = replay.newest(self.recent * self.episodes)
        # The model stays as it is while the policy improves, so its errors on the real episodes are computed once.
        errors = xs[:, 1:] - jax.vmap(model)(xs[:, 0], us)

        def loss(net, rows, keys):
            policy = FeedbackPolicy(task, model.scales, net, open_loop=self.open_loop)
            cost = jax.vmap(lambda xs, errors, k: self.imagined_cost(task, policy, model, xs, errors, k))
            return jnp.mean(cost(xs[rows], errors[rows], keys)) / state.cost_scale

        def update(carry, keys):
            net, optimiser_state = carry
            rows = below(jnp.minimum(len(xs), replay.added), self.policy_batch, keys[0])
            gradient = jax.grad(loss)(net, rows, keys[1:])
            updates, optimiser_state = optimiser.update(gradient, optimiser_state)
            return (eqx.apply_updates(net, updates), optimiser_state), None

        keys = jr.split(key, (self.policy_updates, 1 + self.policy_batch))
        return jax.lax.scan(update, (state.net, state.net_optimiser), keys)[0]

    def imagined_cost(
        self,
        task: AbstractTask,
        policy: FeedbackPolicy,
        model: AbstractWorldModel,
        xs: Float[Array, "knots n"],
        errors: Float[Array, "steps n"],
        key: Key[Array, ""],
    ) -> Float[Array, ""]:
        """J of the policy plus noise in the model, from the start of real states xs, predicted with `errors`."""
        ts = task.dt * jnp.arange(task.num_steps)
        noise = self.imagined_noise * ou_noise(task, key) * (model.scales.high - model.scales.low) / 2

        def act(t, x, e):
            return clip(task, policy.control(t, x) + e)

        def decode(carry, inputs):
            x, memory = carry
            u = act(inputs[0], jax.lax.stop_gradient(x) if self.cut_feedback else x, inputs[1])
            memory, x_next = model.advance(memory, u)
            return (x_next, memory), (x, x_next, u)

        if self.states == "imagined":
            start = (xs[0], model.initial(xs[0], task.num_steps))
            read, predicted, controls = jax.lax.scan(decode, start, (ts, noise))[1]
            if self.cut_feedback:  # the same values; this way the gradient needs no sequential pass
                controls = jax.vmap(act)(ts, jax.lax.stop_gradient(read), noise)
                predicted = model(xs[0], controls)
        else:
            controls = jax.vmap(act)(ts, xs[:-1], noise)
            predicted = model(xs[0], controls) + errors
        return trapezoid_cost(task, jnp.concatenate([xs[:1], predicted]), controls)

    def _net_optimiser(self):
        return adam(self.policy_learning_rate, self.decay_steps * self.policy_updates)

    def _model_optimiser(self):
        return adam(self.model_learning_rate, self.decay_steps * self.model_updates)


def trapezoid_cost(task: AbstractTask, xs: Float[Array, "knots n"], us: Float[Array, "steps m"]) -> Float[Array, ""]:
    """J of predicted states at the knots, by the trapezoid rule on each interval with its control held."""
    return jnp.sum(trapezoid_costs(task, xs, us)) + task.terminal_cost(xs[-1])
