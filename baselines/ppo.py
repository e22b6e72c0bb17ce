"""Proximal policy optimisation (Schulman et al., 2017, arXiv:1707.06347), generalised advantages (arXiv:1506.02438).

A step plays `episodes` episodes of the Gaussian policy a ~ N(μ_θ(o), s²), o = (state, time), each drawn action clipped
to the bounds by the simulator and held for as many intervals as leave `decisions` actions an episode. With r = -cost
of a decision and V = 0 after the last one,

    A_k = Σ_{l >= k} (γ λ)^(l - k) (r_l + γ V(o_{l+1}) - V(o_l)),      ρ = π_θ(a | o) / π_old(a | o)
    descend   -mean min(ρ A, clip(ρ, 1 ± ε) A) + ½ mean (V(o_k) - A_k - V_old(o_k))²

for `epochs` passes over minibatches, A normalised in each, V in units of a running mean and deviation; once π has moved
from π_old by `max_divergence` (Kullback-Leibler, mean over the batch), the rest of the passes is left out. The horizon
is finite, the time is observed and the last decision is terminal, so γ = 1. μ starts around the average control of the
best warm-up episode, and is judged. Spends `episodes` episodes a step and `warmup` before the first.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float

from baselines.exploration import Held, best_level, warmup_episode
from baselines.networks import MLP, FeedbackPolicy, Scales, around, observe, policy_network
from bench.method import AbstractMethod, Usage
from bench.simulate import rollout
from tasks.base import Scalar


class ActorCritic(eqx.Module):
    """What the optimiser moves."""

    actor: MLP  # observation -> mean, in half ranges of the controls
    log_std: Float[Array, " m"]
    critic: MLP  # observation -> value


class PPOState(eqx.Module):
    networks: ActorCritic
    optimiser: optax.OptState
    scales: Scales
    value_mean: Float[Array, ""]
    value_std: Float[Array, ""]


class PPO(AbstractMethod[PPOState]):
    """The same networks' sizes, rate and clipping on every task."""

    warmup: int = 4  # episodes, from which the scales of states and returns are read
    episodes: int = 4  # per step
    decisions: int = 25  # an episode's actions, at most
    epochs: int = 20
    minibatches: int = 2  # per epoch
    clip: float = 0.2  # ε
    max_divergence: float = 0.05
    discount: float = 1.0  # γ
    trace: float = 0.95  # λ
    std: float = 0.6  # of the policy at the start, in half ranges
    adapt: float = 0.3  # of the location and size of the values, per step
    learning_rate: float = 3e-3
    decay_steps: int = 11  # over which a cosine takes the rate to a tenth
    width: int = 64

    def usage(self, task):
        updates = self.epochs * self.minibatches
        return Usage(self.episodes * task.num_steps, init_env_steps=self.warmup * task.num_steps, updates=updates)

    def init(self, task, key):
        m = len(task.controls)
        warmup_key, actor_key, critic_key = jr.split(key, 3)
        batch = jax.vmap(lambda k: warmup_episode(task, k))(jr.split(warmup_key, self.warmup))
        scales = Scales.of(task, batch.xs, jnp.ones(self.warmup))
        networks = ActorCritic(
            around(policy_network(task, self.width, m, key=actor_key), best_level(scales, batch)),
            jnp.full(m, jnp.log(self.std)),
            policy_network(task, self.width, 1, key=critic_key),
        )
        optimiser = self._optimiser().init(eqx.filter(networks, eqx.is_array))
        return PPOState(networks, optimiser, scales, -jnp.mean(batch.cost) / 2, jnp.std(batch.cost) + 1e-12)

    def step(self, task, state, key):
        play_key, learn_key = jr.split(key)
        old = state.networks
        hold = math.ceil(task.num_steps / self.decisions)
        decisions = math.ceil(task.num_steps / hold)  # the last may be shorter
        start = hold * jnp.arange(decisions)

        def play(key):
            start_key, noise_key = jr.split(key)
            noise = jnp.exp(old.log_std) * jr.normal(noise_key, (decisions, len(task.controls)))
            policy = Held(FeedbackPolicy(task, state.scales, old.actor, lambda a: a), noise, hold)
            episode = rollout(task, policy, task.start(start_key))
            see = jax.vmap(lambda k, x: observe(task, state.scales, k * task.dt, x))
            observations = see(start, episode.xs[start])
            actions = jax.vmap(old.actor)(observations) + noise
            costs = episode.costs.at[-1].add(episode.cost - jnp.sum(episode.costs))
            costs = jax.ops.segment_sum(costs, jnp.arange(task.num_steps) // hold, decisions)
            return observations, actions, costs

        observations, actions, costs = jax.vmap(play)(jr.split(play_key, self.episodes))
        see_value = jax.vmap(jax.vmap(lambda o: old.critic(o)[0]))
        value = state.value_mean + state.value_std * see_value(observations)
        gained = advantages(-costs, value, self.discount, self.trace)
        targets = gained + value
        # A running location and size of the values follow a policy whose costs fall by orders of magnitude.
        value_mean = state.value_mean + self.adapt * (jnp.mean(targets) - state.value_mean)
        value_std = state.value_std + self.adapt * (jnp.std(targets) - state.value_std)
        targets = (targets - value_mean) / value_std
        batch = jax.tree.map(
            lambda leaf: leaf.reshape(-1, *leaf.shape[2:]),
            (observations, actions, log_density(old, observations, actions), gained, targets),
        )
        size = self.episodes * decisions
        share = size // self.minibatches

        def loss(networks, batch):
            observation, action, old_log, advantage, target = batch
            ratio = jnp.exp(log_density(networks, observation, action) - old_log)
            advantage = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
            clipped = jnp.clip(ratio, 1 - self.clip, 1 + self.clip)
            gain = jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))
            error = jax.vmap(lambda o: networks.critic(o)[0])(observation) - target
            return -gain + 0.5 * jnp.mean(error**2)

        def epoch(carry, key):
            order = jr.permutation(key, size)[: share * self.minibatches].reshape(self.minibatches, share)

            def update(carry, rows):
                networks, optimiser = carry
                gradient = jax.grad(loss)(networks, jax.tree.map(lambda leaf: leaf[rows], batch))
                updates, moved = self._optimiser().update(gradient, optimiser)
                near = divergence(old, networks, batch[0]) < self.max_divergence
                new = (eqx.apply_updates(networks, updates), moved)
                return jax.tree.map(lambda a, b: jnp.where(near, a, b), new, carry), None

            return jax.lax.scan(update, carry, order)[0], None

        networks, optimiser = jax.lax.scan(epoch, (old, state.optimiser), jr.split(learn_key, self.epochs))[0]
        return PPOState(networks, optimiser, state.scales, value_mean, value_std)

    def policy(self, task, state):
        return FeedbackPolicy(task, state.scales, state.networks.actor)

    def _optimiser(self):
        updates = self.decay_steps * self.epochs * self.minibatches
        schedule = optax.cosine_decay_schedule(self.learning_rate, updates, alpha=0.1)
        return optax.chain(optax.clip_by_global_norm(0.5), optax.adam(schedule))


def advantages(
    rewards: Float[Array, "episodes decisions"],
    values: Float[Array, "episodes decisions"],
    discount: Scalar,
    trace: Scalar,
) -> Float[Array, "episodes decisions"]:
    """A of every decision; nothing comes after the last one."""
    following = jnp.pad(values[:, 1:], ((0, 0), (0, 1)))

    def accumulate(later, surprise):
        later = surprise + discount * trace * later
        return later, later

    surprises = (rewards + discount * following - values).T
    return jax.lax.scan(accumulate, jnp.zeros(len(rewards)), surprises, reverse=True)[1].T


def divergence(old: ActorCritic, new: ActorCritic, observations: Float[Array, "batch obs"]) -> Float[Array, ""]:
    """Mean KL(π_old || π_new) of the Gaussians over a batch."""
    shift = jax.vmap(old.actor)(observations) - jax.vmap(new.actor)(observations)
    ratio = jnp.exp(2 * (old.log_std - new.log_std))
    terms = new.log_std - old.log_std + (ratio + (shift / jnp.exp(new.log_std)) ** 2 - 1) / 2
    return jnp.mean(jnp.sum(terms, axis=-1))


def log_density(
    networks: ActorCritic, observations: Float[Array, "*batch obs"], actions: Float[Array, "*batch m"]
) -> Float[Array, "*batch"]:
    """log π(a | o) of unclipped actions, up to a constant."""
    flat = observations.reshape(-1, observations.shape[-1])
    means = jax.vmap(networks.actor)(flat).reshape(actions.shape)
    z = (actions - means) / jnp.exp(networks.log_std)
    return -jnp.sum(z**2 / 2 + networks.log_std, axis=-1)
