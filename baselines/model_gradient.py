"""Backpropagation-based policy optimisation through a learned world model (Ma et al., ICML 2024, algorithm 1).

Repeat: collect episodes with the policy π_θ plus noise; fit the model x̂[1..H] = g(x[0], u[0..H-1]) to the episodes in
the replay buffer; and descend in θ the cost that the policy has in the model (`baselines/imagination.py`):

    J(θ) = Σ_t ½ Δt (g(t, x̂[t], u[t]) + g(t + Δt, x̂[t+1], u[t])) + Φ(x̂[H]),      u[t] = π_θ(t, sg(s[t]))

sg cuts the gradient through the state that the policy reads (`cut_feedback`); `states` says where these states come
from, the buffer or the model. A step spends `episodes` whole episodes, `init` spends `warmup`.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Annotated, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float

from baselines.abstract_models import AbstractWorldModel, with_cut_predictions
from baselines.exploration import cost_spread, explore, warm_up
from baselines.imagination import Imagination
from baselines.model_fit import begin_fit, continue_fit, rescaled
from baselines.networks import MLP, both_ways, policy_network
from baselines.optimisation import adam, begin, descend
from baselines.policies import Perturbed
from baselines.replay_buffer import Replay, integers_below
from baselines.replication import Bonus, acting, cost_unit, noise_memory, outputs, scales_of
from baselines.schedules import run_length, with_run_length
from bench.budget import Usage
from bench.method import AbstractBudgetedMethod, AbstractModelMethod, Between, Fit
from bench.settings import Count, NotBelow, NotNegative, Positive, PositiveShare, Width


class ModelGradientState(eqx.Module):
    net: MLP
    model: AbstractWorldModel
    net_optimiser: optax.OptState
    model_optimiser: optax.OptState
    replay: Replay
    cost_scale: Float[Array, ""]


class ModelGradient(AbstractModelMethod[ModelGradientState], AbstractBudgetedMethod[ModelGradientState]):
    """Policy gradients through a world model. The model is a field: a class, or a partial with its hyperparameters."""

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
    warmup: Count = 10  # episodes
    episodes: Count = 2  # per step
    noise: NotNegative = 0.3  # in half ranges; episode i of the n in a step gets i / n of it
    imagined_noise: NotNegative = 0.1  # in half ranges
    model_updates: Count = 60  # per step
    policy_updates: Count = 50
    model_batch: Count = 8  # episodes, half of them from the last `recent` steps
    policy_batch: Count = 4
    recent: Count = 5
    model_learning_rate: PositiveShare = 1e-3
    policy_learning_rate: PositiveShare = 3e-3
    decay_share: Positive = 1.0  # share of the run over which a cosine takes both rates to a tenth
    width: Width = 64  # units in the policy's layers
    raw: bool = False  # for replication, like the next two: networks read states and time as they are
    bonus: Bonus = "none"  # entropy bonus of a Gaussian policy, over time; noises then are in its own deviations
    entropy: NotNegative = 0.1  # weight of the bonus
    capacity: Annotated[Count, NotBelow("warmup"), NotBelow("episodes")] = 250  # episodes kept, all in a checkpoint
    steps: float = run_length()

    def __check_init__(self):
        if not self.cut_feedback and self.states == "real":
            raise ValueError("cut_feedback=false needs states=imagined: real states have no feedback to cut.")

    def usage(self, task):
        updates = self.model_updates + self.policy_updates
        return Usage(self.episodes * task.num_steps, init_env_steps=self.warmup * task.num_steps, updates=updates)

    def within(self, task, budget):
        return with_run_length(self, self.warmup, task, budget)

    def init(self, task, key):
        warmup_key, net_key, model_key = jr.split(key, 3)
        episodes = warm_up(task, warmup_key, self.warmup)
        replay = Replay.empty(task, self.capacity).add(episodes)
        net = policy_network(task, self.width, outputs(task, self.bonus), key=net_key)
        model, model_optimiser = self.begin_fit(task, replay, model_key)
        net_optimiser = begin(self._net_optimiser(), net)
        unit = cost_unit(cost_spread(episodes), self.raw)
        return ModelGradientState(net, model, net_optimiser, model_optimiser, replay, unit)

    def step(self, task, state, key):
        collect_key, fit_key, improve_key = jr.split(key, 3)
        amplitudes = self.noise * jnp.arange(1, self.episodes + 1) / self.episodes
        perturb = partial(Perturbed, self.policy(task, state))
        replay = state.replay.add(explore(task, perturb, amplitudes, collect_key, noise_memory(self.bonus)))
        model = rescaled(state.model, scales_of(task, replay.xs, replay.filled, self.raw))
        model, model_optimiser = self.fit(Fit(model, state.model_optimiser), replay, fit_key)
        net, net_optimiser = self._improve(task, state, model, replay, improve_key)
        return ModelGradientState(net, model, net_optimiser, model_optimiser, replay, state.cost_scale)

    def policy(self, task, state):
        return acting(task, state.model.scales, state.net, self.bonus, self.open_loop)

    def begin_fit(self, task, episodes, key):
        scales = scales_of(task, episodes.xs, episodes.filled, self.raw)
        return begin_fit(self._model_optimiser(), self.model, scales, key)

    def fit(self, fit, episodes, key):
        newest = self.recent * self.episodes
        keys = jr.split(key, (self.model_updates, 2))
        return continue_fit(self._model_optimiser(), fit, episodes, self.model_batch, newest, keys)

    def _improve(self, task, state, model, replay, key):
        model = both_ways(model)
        xs, us = replay.newest(self.recent * self.episodes)
        # The model stays as it is while the policy improves, so its errors on the real episodes are computed once.
        errors = xs[:, 1:] - jax.vmap(model)(xs[:, 0], us)

        def loss(net, keys):
            rows = integers_below(jnp.minimum(len(xs), replay.added), self.policy_batch, keys[0])
            noise_keys = keys[1:]
            policy = acting(task, model.scales, net, self.bonus, self.open_loop)
            cost = jax.vmap(lambda xs, errors, k: self.imagination.cost(task, policy, model, xs, errors, k))
            return jnp.mean(cost(xs[rows], errors[rows], noise_keys)) / state.cost_scale

        keys = jr.split(key, (self.policy_updates, 1 + self.policy_batch))
        return descend(self._net_optimiser(), loss, state.net, state.net_optimiser, keys)

    @property
    def imagination(self) -> Imagination:
        """The way to compute the policy's cost in the model."""
        return Imagination(self.states, self.cut_feedback, self.imagined_noise, self.bonus, self.entropy)

    def _net_optimiser(self):
        return adam(self.policy_learning_rate, self.decay_share * self.steps * self.policy_updates)

    def _model_optimiser(self):
        return adam(self.model_learning_rate, self.decay_share * self.steps * self.model_updates)

    def parameters(self, state):
        return state.net

    def with_parameters(self, state, parameters):
        return eqx.tree_at(lambda s: s.net, state, parameters)

    def collected(self, state):
        return state.replay

    def newest(self, state, count):
        return state.replay.newest(count)

    def for_fits(self, fits):
        return dataclasses.replace(self, steps=float(fits))

    @property
    def updates_per_fit(self):
        return self.model_updates

    def warmed_up(self, episodes):
        return dataclasses.replace(self, warmup=episodes)

    def offline(self, task, episodes):
        count = len(episodes.us)
        return dataclasses.replace(self, recent=count, capacity=count), Replay.empty(task, count).add(episodes)

    def without_circuitous_paths(self):
        model = with_cut_predictions(self.model)
        return model and dataclasses.replace(self, model=model)
