"""Proximal policy optimisation (Schulman et al., 2017, arXiv:1707.06347), generalised advantages (arXiv:1506.02438).

A step plays `episodes` episodes of the Gaussian policy a ~ N(μ_θ(o), s²), o = (state, time), each drawn action clipped
to the bounds by the simulator and held for as many intervals as leave `decisions` actions an episode. With r = -cost
of a decision and V = 0 after the last one,

    A_k = Σ_{l >= k} λ^(l - k) (r_l + V(o_{l+1}) - V(o_l)),      ρ = π_θ(a | o) / π_old(a | o)
    actor:   `epochs` times descend -mean min(ρ A, clip(ρ, 1 ± ε) A), until π has moved from π_old by `max_divergence`
    critic:  `critic_updates` times descend ½ mean (V(o_k) - A_k - V_old(o_k))²

The horizon is finite, the time is observed and the last decision is terminal, so there is no discount.

A budget of some tens of episodes asks for more: the critic learns from the latest `capacity` episodes, since the few of
one step it would learn by heart (compare the auxiliary phase of Cobbe et al., 2021, arXiv:2009.04416); noise comes in
pairs of opposite signs; A is taken from its mean at the same decision, in standard deviations of the step's, none
beyond 2; μ is projected on twice the bounds, beyond which actions have no effect and it would drift. The judged policy
plays the mean of what π plays, E clip(a), not clip(μ): near a bound the best μ makes up for the clipping, and only with
μ beyond it do the played actions reach it. μ starts around the average control of the best warm-up episode. Spends
`episodes` episodes a step and `warmup` before the first.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jax.scipy.stats import norm
from jaxtyping import Array, Float

from baselines.exploration import Held, best_level, warmup_episode
from baselines.networks import MLP, FeedbackPolicy, Scales, around, from_unit, observe, policy_network, project
from baselines.replay import Replay
from bench.budget import Usage
from bench.method import AbstractMethod, Between
from bench.simulate import AbstractPolicy, rollout
from tasks.base import AbstractTask, Scalar

LARGEST = 2.0  # advantage, in standard deviations: one disaster must not decide a step
REACH = 2.0  # of μ, in half ranges


class Gaussian(eqx.Module):
    """π, what the actor's optimiser moves; everything in half ranges of the controls."""

    net: MLP  # observation -> mean before it is projected
    log_std: Float[Array, " m"]

    def mean(self, observations: Float[Array, "*batch obs"]) -> Float[Array, "*batch m"]:
        return within_reach(jnp.vectorize(self.net, signature="(o)->(m)")(observations))

    def log_density(
        self, observations: Float[Array, "*batch obs"], actions: Float[Array, "*batch m"]
    ) -> Float[Array, "*batch"]:
        """log π(a | o) of unclipped actions, up to a constant."""
        z = (actions - self.mean(observations)) / jnp.exp(self.log_std)
        return -jnp.sum(z**2 / 2 + self.log_std, axis=-1)


class AverageAction(AbstractPolicy):
    """u = E clip(a), a ~ π(· | o): a deterministic memoryless policy."""

    task: AbstractTask
    scales: Scales
    actor: Gaussian

    def initial(self):
        return ()

    def __call__(self, t, x, carry):
        mean = self.actor.mean(observe(self.task, self.scales, t, x))
        return from_unit(self.task, clipped_mean(mean, jnp.exp(self.actor.log_std))), carry


class PPOState(eqx.Module):
    actor: Gaussian
    critic: MLP  # observation -> value, in units of `value_std` around `value_mean`
    optimisers: tuple[optax.OptState, optax.OptState]
    replay: Replay
    scales: Scales
    value_mean: Float[Array, ""]
    value_std: Float[Array, ""]


class PPO(AbstractMethod[PPOState]):
    """The same networks' sizes, rates and clipping on every task."""

    search: ClassVar = {
        "learning_rate": Between(1e-4, 1e-2, log=True),
        "std": Between(0.1, 1.0, log=True),
        "max_divergence": Between(0.01, 0.3, log=True),
        "trace": Between(0.5, 1.0),
    }
    paced: ClassVar = ("epochs", "critic_updates")

    warmup: int = 6  # episodes, from which the scales of states and returns are read
    episodes: int = 4  # per step, even
    decisions: int = 17  # an episode's actions, at most
    epochs: int = 30  # of the actor, each of one update
    critic_updates: int = 200
    batch: int = 16  # episodes, of the critic's updates
    capacity: int = 64  # episodes kept
    clip: float = 0.2  # ε
    max_divergence: float = 0.207  # Kullback-Leibler, mean over the step's decisions
    trace: float = 0.811  # λ
    std: float = 0.906  # s at the start, in half ranges
    adapt: float = 0.3  # of the location and size of the values, per step
    learning_rate: float = 2.6e-3  # of the actor
    critic_rate: float = 3e-3
    width: int = 64

    def usage(self, task):
        updates = self.epochs + self.critic_updates
        return Usage(self.episodes * task.num_steps, init_env_steps=self.warmup * task.num_steps, updates=updates)

    def init(self, task, key):
        m = len(task.controls)
        warmup_key, actor_key, critic_key = jr.split(key, 3)
        batch = jax.vmap(lambda k: warmup_episode(task, k))(jr.split(warmup_key, self.warmup))
        scales = Scales.of(task, batch.xs, jnp.ones(self.warmup))
        net = around(policy_network(task, self.width, m, key=actor_key), best_level(scales, batch))
        actor = Gaussian(net, jnp.full(m, jnp.log(self.std)))
        critic = policy_network(task, self.width, 1, key=critic_key)
        for_actor, for_critic = self._optimisers()
        optimisers = (
            for_actor.init(eqx.filter(actor, eqx.is_array)),
            for_critic.init(eqx.filter(critic, eqx.is_array)),
        )
        replay = Replay.empty(task, max(self.capacity, self.warmup, self.episodes)).add(batch)
        spread = jnp.std(batch.cost) + 1e-12
        return PPOState(actor, critic, optimisers, replay, scales, -jnp.mean(batch.cost) / 2, spread)

    def step(self, task, state, key):
        noise_key, start_key, critic_key = jr.split(key, 3)
        hold = math.ceil(task.num_steps / self.decisions)
        decisions = math.ceil(task.num_steps / hold)  # the last may be shorter
        start = hold * jnp.arange(decisions)

        def play(noise, key):
            policy = Held(FeedbackPolicy(task, state.scales, state.actor.net, within_reach), noise, hold)
            return rollout(task, policy, task.start(key))

        def see(xs):
            return jax.vmap(lambda k, x: observe(task, state.scales, k * task.dt, x))(start, xs[start])

        def paid(costs):
            return jax.ops.segment_sum(costs, jnp.arange(task.num_steps) // hold, decisions)

        drawn = jr.normal(noise_key, (self.episodes // 2, decisions, len(task.controls)))
        noise = jnp.exp(state.actor.log_std) * jnp.concatenate([drawn, -drawn])
        replay = state.replay.add(jax.vmap(play)(noise, jr.split(start_key, self.episodes)))
        observations, rewards = jax.vmap(see)(replay.xs), -jax.vmap(paid)(replay.costs)
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
        optimisers = (actor_optimiser, critic_optimiser)
        return PPOState(actor, critic, optimisers, replay, state.scales, value_mean, value_std)

    def policy(self, task, state):
        return AverageAction(task, state.scales, state.actor)

    def _improve(self, state, observations, noise, gained):
        """The actor and its optimiser after `epochs` updates, or as many as `max_divergence` lets pass."""
        old, optimiser = state.actor, self._optimisers()[0]
        actions = old.mean(observations) + noise
        old_log = old.log_density(observations, actions)
        gained = gained - jnp.mean(gained, axis=0)  # of the same decision in the step's episodes
        gained = gained / (jnp.std(gained) + 1e-12)
        gained = jnp.clip(gained, -LARGEST, LARGEST)

        def loss(actor):
            ratio = jnp.exp(actor.log_density(observations, actions) - old_log)
            clipped = jnp.clip(ratio, 1 - self.clip, 1 + self.clip)
            return -jnp.mean(jnp.minimum(ratio * gained, clipped * gained))

        def update(carry, _):
            actor, moments = carry
            updates, moments = optimiser.update(jax.grad(loss)(actor), moments)
            near = divergence(old, actor, observations) < self.max_divergence
            new = (eqx.apply_updates(actor, updates), moments)
            return jax.tree.map(lambda a, b: jnp.where(near, a, b), new, carry), None

        return jax.lax.scan(update, (old, state.optimisers[0]), length=self.epochs)[0]

    def _fit(self, state, replay, observations, targets, key):
        """The critic and its optimiser after `critic_updates` updates on whole episodes of the replay."""
        optimiser = self._optimisers()[1]

        def update(carry, key):
            critic, moments = carry
            rows = replay.sample(key, self.batch, len(replay.xs))

            def loss(critic):
                error = evaluate(critic, observations[rows]) - targets[rows]
                return 0.5 * jnp.mean(jnp.clip(error, -5.0, 5.0) ** 2)  # outliers have no gradient

            updates, moments = optimiser.update(jax.grad(loss)(critic), moments)
            return (eqx.apply_updates(critic, updates), moments), None

        return jax.lax.scan(update, (state.critic, state.optimisers[1]), jr.split(key, self.critic_updates))[0]

    def _optimisers(self):
        critic = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(self.critic_rate, b2=0.99))
        return optax.adam(self.learning_rate, b2=0.99), critic


def within_reach(a: Float[Array, "*batch m"]) -> Float[Array, "*batch m"]:
    """Means projected on REACH times the bounds, which are -1 and 1."""
    return REACH * project(a / REACH)


def evaluate(critic: MLP, observations: Float[Array, "*batch obs"]) -> Float[Array, "*batch"]:
    """The critic's values of a batch, in its own units."""
    return jnp.vectorize(lambda o: critic(o)[0], signature="(o)->()")(observations)


def advantages(
    rewards: Float[Array, "episodes decisions"],
    values: Float[Array, "episodes decisions"],
    trace: Scalar,
) -> Float[Array, "episodes decisions"]:
    """A of every decision; nothing comes after the last one."""
    following = jnp.pad(values[:, 1:], ((0, 0), (0, 1)))

    def accumulate(later, surprise):
        later = surprise + trace * later
        return later, later

    surprises = (rewards + following - values).T
    return jax.lax.scan(accumulate, jnp.zeros(len(rewards)), surprises, reverse=True)[1].T


def divergence(old: Gaussian, new: Gaussian, observations: Float[Array, "*batch obs"]) -> Float[Array, ""]:
    """Mean KL(π_old || π_new) over a batch."""
    shift = old.mean(observations) - new.mean(observations)
    ratio = jnp.exp(2 * (old.log_std - new.log_std))
    terms = new.log_std - old.log_std + (ratio + (shift / jnp.exp(new.log_std)) ** 2 - 1) / 2
    return jnp.mean(jnp.sum(terms, axis=-1))


def clipped_mean(mean: Float[Array, " m"], std: Float[Array, " m"]) -> Float[Array, " m"]:
    """E clip(a, -1, 1) of a ~ N(mean, std²)."""
    low, high = (-1 - mean) / std, (1 - mean) / std
    inside = mean * (norm.cdf(high) - norm.cdf(low)) + std * (norm.pdf(low) - norm.pdf(high))
    return inside + norm.cdf(-high) - norm.cdf(low)
