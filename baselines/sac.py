"""Soft actor-critic with twin critics and a learned temperature (Haarnoja et al., 2018, arXiv:1812.05905).

An action is held for `hold` intervals. After each interval, a batch of actions comes from the replay buffer, with
observations o = (state, time) where an action begins and o' where it ends. Its reward is r = -(cost - usual cost) /
scale, where the usual cost is that of as many intervals. The horizon is finite and the time is observed, so there is no
discount:

    y    = r + (1 - last) (min_i Q̄_i(o', a') - α log π(a' | o')),   a' ~ π(o')
    Q_i  ← Q_i - η ∇ (Q_i(o, a) - y)²                               Q̄_i ← (1 - τ) Q̄_i + τ Q_i
    π    ← π - η ∇ (α log π(a | o) - min_i Q_i(o, a)),   a ~ π(o)   (reparametrised, squashed by tanh)
    α    ← α - η ∇ α (-log π(a | o) - H̄),   H̄ = -m

Squashed actions are stretched and clipped, so that they reach their bounds. A step is one episode, with `updates`
updates after each interval: it spends `num_steps`. `init` spends `warmup` episodes.
"""

from typing import Annotated, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float

from baselines.critics import action_values
from baselines.exploration import cost_spread, warm_up
from baselines.gaussian import TANH_STRETCH, sample_squashed, squash
from baselines.networks import MLP, policy_network
from baselines.normalisation import Scales, from_unit, observe, observe_knots
from baselines.optimisation import apply_gradient, begin
from baselines.policies import FeedbackPolicy
from baselines.replay_buffer import Replay
from baselines.replication import cost_unit, scales_of
from baselines.schedules import cosine, run_length, with_run_length
from bench.budget import Usage
from bench.method import AbstractBudgetedMethod, Between
from bench.noisy_task import end_cost, observed
from bench.settings import Count, Finite, NotBelow, Positive, PositiveShare, Width, Within
from bench.simulate import clip, transition


class Networks(eqx.Module):
    """The parameters that the optimiser moves."""

    actor: MLP  # observation -> mean and log standard deviation before squashing
    critics: MLP  # stacked along a leading axis
    log_temperature: Float[Array, ""]


class SACState(eqx.Module):
    networks: Networks
    targets: MLP
    optimiser: optax.OptState
    replay: Replay  # its controls are those drawn, before they are clipped
    scales: Scales
    usual_cost: Float[Array, ""]  # mean cost of an interval in the warm-up
    cost_scale: Float[Array, ""]


class SAC(AbstractBudgetedMethod[SACState]):
    """The same network sizes and learning rate, and one update per environment step, on every task."""

    search: ClassVar = {
        "learning_rate": Between(3e-4, 1e-2, log=True),
        "polyak": Between(3e-3, 5e-2, log=True),
        "return_size": Between(0.5, 20.0, log=True),
        "entropy": Between(-3.0, 0.0),
    }
    paced: ClassVar = ("updates",)

    warmup: Count = 6  # episodes
    hold: Count = 4  # intervals per decision
    updates: Count = 1  # per environment step
    batch: Count = 64
    width: Width = 128
    learning_rate: PositiveShare = 8.83e-3
    decay_share: Positive = 1.0  # share of the run over which a cosine takes the rate to a tenth
    polyak: PositiveShare = 0.0257  # τ
    return_size: Positive = 1.9  # standard deviation of the warm-up returns after scaling
    temperature: Positive = 0.1  # α at the start
    critics: Count = 2  # fewer for replication, like the next two
    learn_temperature: bool = True
    raw: bool = False  # networks read states and time as they are, and rewards are costs
    entropy: Finite = -0.567  # H̄ per control
    capacity: Annotated[Count, Within(2), NotBelow("warmup")] = 250  # episodes kept; a checkpoint writes them all
    steps: float = run_length()

    def usage(self, task):
        updates = self.updates * task.num_steps
        return Usage(task.num_steps, init_env_steps=self.warmup * task.num_steps, updates=updates)

    def within(self, task, budget):
        return with_run_length(self, self.warmup, task, budget)

    def init(self, task, key):
        n, m = len(task.states), len(task.controls)
        warmup_key, actor_key, critics_key = jr.split(key, 3)
        episodes = warm_up(task, warmup_key, self.warmup)
        critic_sizes = (n + 2 + m, self.width, self.width, 1)
        critics = eqx.filter_vmap(lambda k: MLP(critic_sizes, jax.nn.relu, key=k))(jr.split(critics_key, self.critics))
        actor = policy_network(task, self.width, 2 * m, jax.nn.relu, key=actor_key)
        networks = Networks(actor, critics, jnp.log(self.temperature))
        spread = cost_spread(episodes)
        return SACState(
            networks,
            critics,
            begin(self._optimiser(task), networks),
            Replay.empty(task, self.capacity).add(episodes),
            scales_of(task, episodes.xs, raw=self.raw),
            jnp.mean(episodes.cost) / task.num_steps,
            cost_unit(spread / self.return_size, self.raw),
        )

    def step(self, task, state, key):
        def interval(carry, inputs):
            state, x, held = carry
            k, key = inputs
            act_key, update_key = jr.split(key)
            t = k * task.dt
            action, _ = sample_squashed(state.networks.actor, observe(task, state.scales, t, observed(x)), act_key)
            u = jnp.where(k % self.hold == 0, from_unit(task, TANH_STRETCH * action), held)
            x_next, cost = transition(task, t, x, clip(task, u))
            cost = cost + jnp.where(k == task.num_steps - 1, end_cost(task, x_next), 0.0)
            replay = state.replay.write(k, observed(x), u, cost, observed(x_next))
            state = eqx.tree_at(lambda s: s.replay, state, replay)
            # Whole decisions of the episode under way. After its last interval, the buffer counts it as added.
            under_way = (k + 1) // self.hold * self.hold * (k + 1 < task.num_steps)
            state = jax.lax.scan(
                lambda s, update_key: (self._update(task, s, under_way, update_key), None),
                state,
                jr.split(update_key, self.updates),
            )[0]
            return (state, x_next, u), None

        keys = jr.split(key, task.num_steps + 1)
        inputs = (jnp.arange(task.num_steps), keys[1:])
        start = (state, task.start(keys[0]), state.scales.low)
        return jax.lax.scan(interval, start, inputs)[0][0]

    def policy(self, task, state):
        return FeedbackPolicy(task, state.scales, state.networks.actor, squash)

    def _update(self, task, state, under_way, key):
        """Return the state after one update of all networks on a batch from the buffer."""
        batch_key, next_key, actor_key = jr.split(key, 3)
        rows, ks = state.replay.sample_intervals(batch_key, self.batch, under_way)
        starts = ks - ks % self.hold
        ends = jnp.minimum(starts + self.hold, task.num_steps)
        now = observe_knots(task, state.scales, starts, state.replay.xs[rows, starts])
        after = observe_knots(task, state.scales, ends, state.replay.xs[rows, ends])
        actions = state.scales.control(state.replay.us[rows, starts]) / TANH_STRETCH
        within = starts[:, None] + jnp.arange(self.hold)
        costs = state.replay.costs[rows[:, None], jnp.minimum(within, task.num_steps - 1)] - state.usual_cost
        rewards = -jnp.sum(jnp.where(within < ends[:, None], costs, 0.0), axis=1) / state.cost_scale
        last = ends == task.num_steps

        networks, temperature = state.networks, jnp.exp(state.networks.log_temperature)
        draw = jax.vmap(sample_squashed, in_axes=(None, 0, 0))
        next_actions, next_log_prob = draw(networks.actor, after, jr.split(next_key, self.batch))
        soft_value = jnp.min(action_values(state.targets, after, next_actions), axis=0) - temperature * next_log_prob
        y = rewards + jnp.where(last, 0.0, soft_value)

        def loss(networks):
            critic_loss = jnp.mean((action_values(networks.critics, now, actions) - y) ** 2, axis=1).sum()
            own, log_prob = draw(networks.actor, now, jr.split(actor_key, self.batch))
            judged = jnp.min(action_values(jax.lax.stop_gradient(networks.critics), now, own), axis=0)
            actor_loss = jnp.mean(temperature * log_prob - judged)
            entropy_gap = jax.lax.stop_gradient(-jnp.mean(log_prob)) - self.entropy * len(task.controls)
            temperature_loss = jnp.exp(networks.log_temperature) * entropy_gap if self.learn_temperature else 0.0
            return critic_loss + actor_loss + temperature_loss

        networks, optimiser = apply_gradient(self._optimiser(task), jax.grad(loss)(networks), networks, state.optimiser)
        targets = jax.tree.map(lambda q, target: target + self.polyak * (q - target), networks.critics, state.targets)
        return SACState(networks, targets, optimiser, state.replay, state.scales, state.usual_cost, state.cost_scale)

    def _optimiser(self, task):
        updates = self.decay_share * self.steps * task.num_steps * self.updates
        return optax.adam(cosine(self.learning_rate, updates, end=0.1))
