"""Proximal policy optimisation (Schulman et al., 2017, arXiv:1707.06347), generalised advantages (arXiv:1506.02438).

A step plays `episodes` episodes of the Gaussian policy a ~ N(μ_θ(o), s²), o = (state, time). The simulator clips each
action to the bounds. An action is held for as many intervals as leave `decisions` actions an episode. With r = -cost of
a decision and V = 0 after the last one,

    A_k = Σ_{l >= k} λ^(l - k) (r_l + V(o_{l+1}) - V(o_l)),      ρ = π_θ(a | o) / π_old(a | o)
    actor:   `epochs` times descend -mean min(ρ A, clip(ρ, 1 ± ε) A), until π has moved from π_old by `max_divergence`
    critic:  `critic_updates` times descend ½ mean (V(o_k) - A_k - V_old(o_k))²

The horizon is finite, the time is observed and the last decision is terminal, so there is no discount. A budget of some
tens of episodes asks for changes:

- The critic learns from the latest `capacity` episodes. It would learn the few of one step by heart (compare the
  auxiliary phase of Cobbe et al., 2021, arXiv:2009.04416).
- Noise comes in pairs of opposite signs, and μ starts around the average control of the best warm-up episode.
- A is measured from its mean at the same decision, in standard deviations over the step, and clipped at MAX_ADVANTAGE.
- μ is projected on twice the bounds. Beyond them actions have no effect, and μ would drift.
- The judged policy plays the mean of the controls that π plays, E clip(a), and not clip(μ). Near a bound the best μ
  makes up for the clipping: only with μ beyond the bound do the played actions reach it.

A step spends `episodes` episodes, `init` spends `warmup`.
"""

import math
from typing import Annotated, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float

from baselines.critics import advantages, evaluate
from baselines.exploration import SMALLEST, best_level, warm_up
from baselines.gaussian import BoundedGaussian, bounded_mean
from baselines.networks import MLP, policy_network, with_output_bias
from baselines.normalisation import Scales, observe_knots
from baselines.optimisation import begin, descend
from baselines.policies import AverageAction, FeedbackPolicy, Held
from baselines.replay_buffer import Replay
from baselines.schedules import with_warmup
from bench.budget import Usage
from bench.method import AbstractBudgetedMethod, Between
from bench.settings import Count, MultipleOf, Positive, PositiveShare, Share, Width
from bench.simulate import rollout

MAX_ADVANTAGE = 2.0  # in standard deviations: one disaster must not decide a step
MAX_VALUE_ERROR = 5.0  # in units of the critic: an error beyond it has no gradient


class PPOState(eqx.Module):
    actor: BoundedGaussian
    critic: MLP  # observation -> value, in units of `value_std` around `value_mean`
    optimisers: tuple[optax.OptState, optax.OptState]  # states for the actor and for the critic
    replay: Replay
    scales: Scales
    value_mean: Float[Array, ""]
    value_std: Float[Array, ""]


class PPO(AbstractBudgetedMethod[PPOState]):
    """The same network sizes, learning rates and clipping on every task."""

    search: ClassVar = {
        "learning_rate": Between(1e-4, 1e-2, log=True),
        "std": Between(0.1, 1.0, log=True),
        "max_divergence": Between(0.01, 0.3, log=True),
        "trace": Between(0.5, 1.0),
    }
    paced: ClassVar = ("epochs", "critic_updates")

    warmup: Count = 6  # episodes, from which the scales of states and returns are read
    episodes: Annotated[Count, MultipleOf(2)] = 4  # per step, an even number
    decisions: Count = 17  # most actions in an episode
    epochs: Count = 30  # updates of the actor per step
    critic_updates: Count = 200  # per step
    batch: Count = 16  # episodes in an update of the critic
    capacity: Count = 64  # episodes kept
    clip: Positive = 0.2  # ε
    max_divergence: Positive = 0.207  # Kullback-Leibler, mean over the step's decisions
    trace: Share = 0.811  # λ
    std: Positive = 0.906  # s at the start, in half ranges
    adapt: Share = 0.3  # share by which a step moves the location and the size of the values
    learning_rate: PositiveShare = 2.6e-3  # the actor's
    critic_rate: PositiveShare = 3e-3
    width: Width = 64

    def usage(self, task):
        updates = self.epochs + self.critic_updates
        return Usage(self.episodes * task.num_steps, init_env_steps=self.warmup * task.num_steps, updates=updates)

    def within(self, task, budget):
        return with_warmup(self, self.warmup, task, budget)

    def init(self, task, key):
        m = len(task.controls)
        warmup_key, actor_key, critic_key = jr.split(key, 3)
        episodes = warm_up(task, warmup_key, self.warmup)
        scales = Scales.of(task, episodes.xs)
        net = with_output_bias(policy_network(task, self.width, m, key=actor_key), best_level(scales, episodes))
        actor = BoundedGaussian(net, jnp.full(m, jnp.log(self.std)))
        critic = policy_network(task, self.width, 1, key=critic_key)
        optimisers = begin(self._actor_optimiser(), actor), begin(self._critic_optimiser(), critic)
        replay = Replay.empty(task, max(self.capacity, self.warmup, self.episodes)).add(episodes)
        spread = jnp.std(episodes.cost) + SMALLEST
        return PPOState(actor, critic, optimisers, replay, scales, -jnp.mean(episodes.cost) / 2, spread)

    def step(self, task, state, key):
        noise_key, start_key, critic_key = jr.split(key, 3)
        hold = math.ceil(task.num_steps / self.decisions)
        decisions = math.ceil(task.num_steps / hold)  # the last may be shorter
        start = hold * jnp.arange(decisions)

        def play(noise, key):
            policy = Held(FeedbackPolicy(task, state.scales, state.actor.net, bounded_mean), noise, hold)
            return rollout(task, policy, task.start(key))

        def paid(costs):
            return jax.ops.segment_sum(costs, jnp.arange(task.num_steps) // hold, decisions)

        drawn = jr.normal(noise_key, (self.episodes // 2, decisions, len(task.controls)))
        noise = jnp.exp(state.actor.log_std) * jnp.concatenate([drawn, -drawn])
        replay = state.replay.add(jax.vmap(play)(noise, jr.split(start_key, self.episodes)))
        observations = jax.vmap(lambda xs: observe_knots(task, state.scales, start, xs[start]))(replay.xs)
        rewards = -jax.vmap(paid)(replay.costs)
        value = state.value_mean + state.value_std * evaluate(state.critic, observations)
        gained = advantages(rewards, value, self.trace)
        latest = (replay.added - self.episodes + jnp.arange(self.episodes)) % len(replay.xs)
        actor, actor_optimiser = self._improve(state, observations[latest], noise, gained[latest])
        targets = gained + value
        # A running location and size of the values follow a policy whose costs fall by orders of magnitude.
        value_mean = state.value_mean + self.adapt * (jnp.mean(targets[latest]) - state.value_mean)
        value_std = state.value_std + self.adapt * (jnp.std(targets[latest]) - state.value_std)
        targets = (targets - value_mean) / value_std
        critic, critic_optimiser = self._fit(state, replay, observations, targets, critic_key)
        return PPOState(actor, critic, (actor_optimiser, critic_optimiser), replay, state.scales, value_mean, value_std)

    def policy(self, task, state):
        return AverageAction(task, state.scales, state.actor)

    def _improve(self, state, observations, noise, gained):
        """Return the actor and its optimiser after `epochs` updates, or as many as `max_divergence` lets pass."""
        old, optimiser = state.actor, self._actor_optimiser()
        actions = old.mean(observations) + noise
        old_log = old.log_density(observations, actions)
        gained = gained - jnp.mean(gained, axis=0)  # over the same decision in the step's episodes
        gained = jnp.clip(gained / (jnp.std(gained) + SMALLEST), -MAX_ADVANTAGE, MAX_ADVANTAGE)

        def loss(actor):
            ratio = jnp.exp(actor.log_density(observations, actions) - old_log)
            clipped = jnp.clip(ratio, 1 - self.clip, 1 + self.clip)
            return -jnp.mean(jnp.minimum(ratio * gained, clipped * gained))

        def update(carry, _):
            actor, moments = carry
            updates, moments = optimiser.update(jax.grad(loss)(actor), moments)
            near = old.divergence(actor, observations) < self.max_divergence
            new = (eqx.apply_updates(actor, updates), moments)
            return jax.tree.map(lambda a, b: jnp.where(near, a, b), new, carry), None

        return jax.lax.scan(update, (old, state.optimisers[0]), length=self.epochs)[0]

    def _fit(self, state, replay, observations, targets, key):
        """Return the critic and its optimiser after `critic_updates` updates on whole episodes of the buffer."""

        def loss(critic, key):
            rows = replay.sample(key, self.batch, len(replay.xs))
            error = evaluate(critic, observations[rows]) - targets[rows]
            return 0.5 * jnp.mean(jnp.clip(error, -MAX_VALUE_ERROR, MAX_VALUE_ERROR) ** 2)

        keys = jr.split(key, self.critic_updates)
        return descend(self._critic_optimiser(), loss, state.critic, state.optimisers[1], keys)

    def _actor_optimiser(self):
        return optax.adam(self.learning_rate, b2=0.99)

    def _critic_optimiser(self):
        return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(self.critic_rate, b2=0.99))
