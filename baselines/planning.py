"""Planning with a learned world model: receding-horizon control in place of a learned policy.

The warm-up, the noise, the model, its fit and the cost of predicted states are those of `baselines/model_gradient.py`.
Only the way from a model to controls is another one. An episode has a plan, a control for each of its H intervals. At
`plans` times, evenly spread, `iterations` steps of projected Adam improve the rest of it, with x[k] the observed state:

    J(u[k..H-1]) = Σ_{t>=k} ½ Δt (g(t, x̂[t], u[t]) + g(t + Δt, x̂[t+1], u[t])) + Φ(x̂[H]),      x̂[k] = x[k]
    x̂[k+1..H] = forecast(x[0..k], u) + x'[k+1..H] - forecast(x'[0..k], u')

The steps start from the plan so far. Their result takes its place only if it is cheaper in the model, so a warm start
never loses. The first plan is u', the controls of the cheapest real episode so far. The model's errors on that episode,
whose states are x', are added to its forecasts, as `states = "real"` does for a policy's gradient.

How a forecast takes in observed states (`AbstractWorldModel.forecast`) depends on what a model is fitted to. An actions
model knows starts of episodes alone, so it is not started anew from x[k]: it reads x[0] and all controls since, played
and planned, and its error at k is added to all later states. A history model reads all observed states and then its
own, a one-step model the last observed one.

A plan is one candidate: it costs `iterations` gradients and three values of a forecast over H intervals, and an episode
`plans` times as much. The model simulates it all, so none of it is an environment step. Each step of Adam on a plan of
a training episode is an update of `Usage`, like one on the model.
"""

from collections.abc import Callable
from typing import Annotated, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int

from baselines.abstract_models import AbstractWorldModel
from baselines.exploration import cost_spread, explore, warm_up
from baselines.imagination import trapezoid_cost
from baselines.model_fit import begin_fit, continue_fit, rescaled
from baselines.networks import both_ways
from baselines.normalisation import Scales, from_unit, project
from baselines.optimisation import adam, begin, descend
from baselines.replay_buffer import Replay
from baselines.schedules import run_length, with_run_length
from bench.budget import Usage
from bench.method import AbstractBudgetedMethod, Between, Fit
from bench.settings import Count, NotBelow, NotNegative, Positive, PositiveShare
from bench.simulate import AbstractPolicy, clip
from tasks.base import AbstractTask, Scalar


class Planner(AbstractPolicy):
    """A plan that is improved now and then, plus noise, which the planner knows once it is played."""

    task: AbstractTask
    model: AbstractWorldModel
    real: tuple[Float[Array, "knots n"], Float[Array, "steps m"]]  # x' and u'
    noise: Float[Array, "steps m"]  # in half ranges
    cost_scale: Float[Array, ""]
    learning_rate: Scalar
    iterations: int = eqx.field(static=True)
    hold: int = eqx.field(static=True)  # intervals between two plans

    def initial(self):
        xs, us = self.real
        return jnp.zeros_like(xs), us

    def __call__(self, t, x, carry):
        xs, us = carry
        # From the time and not from the carry: in a batch of episodes a carry has an entry for each of them, and `cond`
        # would plan in every interval.
        k = jnp.round(t / self.task.dt).astype(jnp.int32)
        xs = xs.at[k].set(x)
        us = jax.lax.cond(k % self.hold == 0, lambda: self.improved(k, xs, us), lambda: us)
        scales = self.model.scales
        u = clip(self.task, us[k] + self.noise[k] * (scales.high - scales.low) / 2)
        return u, (xs, us.at[k].set(u))

    def improved(
        self, k: Int[Array, ""], xs: Float[Array, "knots n"], us: Float[Array, "steps m"]
    ) -> Float[Array, "steps m"]:
        """Return better controls from interval k on, given the states up to knot k and the controls before."""
        ahead = jnp.arange(len(us))[:, None] >= k
        observed = jnp.arange(len(xs))[:, None] <= k
        real_xs, real_us = self.real
        errors = real_xs[1:] - self.model.forecast(real_xs, real_us, k)

        def controls(a):
            return jnp.where(ahead, from_unit(self.task, project(a)), us)

        def cost(a):
            predicted = self.model.forecast(xs, controls(a), k) + errors
            states = jnp.where(observed, xs, jnp.concatenate([xs[:1], predicted]))
            return trapezoid_cost(self.task, states, controls(a)) / self.cost_scale

        optimiser = adam(self.learning_rate, float(self.iterations))
        old = self.model.scales.control(us)
        new, _ = descend(optimiser, lambda a, _: cost(a), old, begin(optimiser, old), updates=self.iterations)
        return jnp.where(cost(new) < cost(old), controls(new), us)


class PlanningState(eqx.Module):
    model: AbstractWorldModel
    model_optimiser: optax.OptState
    replay: Replay
    cost_scale: Float[Array, ""]


class Planning(AbstractBudgetedMethod[PlanningState]):
    """Plans through a world model. The model is a field: a class, or a partial with its hyperparameters."""

    search: ClassVar = {
        "plan_learning_rate": Between(1e-2, 0.5, log=True),
        "model_learning_rate": Between(2e-4, 1e-2, log=True),
        "noise": Between(0.05, 0.6, log=True),
    }
    paced: ClassVar = ("model_updates", "iterations")

    model: Callable[..., AbstractWorldModel]
    warmup: Count = 10  # episodes
    episodes: Count = 2  # per step
    noise: NotNegative = 0.3  # in half ranges; episode i of the n in a step gets i / n of it
    plans: Count = 20  # in an episode, evenly spread
    iterations: Count = 10  # updates of each plan
    plan_learning_rate: PositiveShare = 0.1  # in half ranges; a cosine takes it to a tenth in every plan
    model_updates: Count = 60  # per step
    model_batch: Count = 8  # episodes, half of them from the last `recent` steps
    recent: Count = 5
    model_learning_rate: PositiveShare = 1e-3
    decay_share: Positive = 1.0  # share of the run over which a cosine takes the model's rate to a tenth
    # Episodes kept; a checkpoint writes them all.
    capacity: Annotated[Count, NotBelow("warmup"), NotBelow("episodes")] = 250
    steps: float = run_length()

    def usage(self, task):
        plans = -(-task.num_steps // self._hold(task))
        updates = self.model_updates + self.episodes * plans * self.iterations
        return Usage(self.episodes * task.num_steps, init_env_steps=self.warmup * task.num_steps, updates=updates)

    def within(self, task, budget):
        return with_run_length(self, self.warmup, task, budget)

    def init(self, task, key):
        warmup_key, model_key = jr.split(key)
        episodes = warm_up(task, warmup_key, self.warmup)
        replay = Replay.empty(task, self.capacity).add(episodes)
        scales = Scales.of(task, replay.xs, replay.filled)
        fit = begin_fit(self._model_optimiser(), self.model, scales, model_key)
        return PlanningState(*fit, replay, cost_spread(episodes))

    def step(self, task, state, key):
        collect_key, fit_key = jr.split(key)
        amplitudes = self.noise * jnp.arange(1, self.episodes + 1) / self.episodes
        planner = self.policy(task, state)
        episodes = explore(task, lambda noise: eqx.tree_at(lambda p: p.noise, planner, noise), amplitudes, collect_key)
        replay = state.replay.add(episodes)
        model = rescaled(state.model, Scales.of(task, replay.xs, replay.filled))
        fit = Fit(model, state.model_optimiser)
        keys = jr.split(fit_key, (self.model_updates, 2))
        newest = self.recent * self.episodes
        fit = continue_fit(self._model_optimiser(), fit, replay, self.model_batch, newest, keys)
        return PlanningState(*fit, replay, state.cost_scale)

    def policy(self, task, state):
        return Planner(
            task,
            both_ways(state.model),
            real=state.replay.cheapest(),
            noise=jnp.zeros_like(state.replay.us[0]),
            cost_scale=state.cost_scale,
            learning_rate=self.plan_learning_rate,
            iterations=self.iterations,
            hold=self._hold(task),
        )

    def _hold(self, task):
        return -(-task.num_steps // self.plans)

    def _model_optimiser(self):
        return adam(self.model_learning_rate, self.decay_share * self.steps * self.model_updates)
