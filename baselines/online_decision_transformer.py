"""Online decision transformer (Zheng, Zhang & Grover, ICML 2022, arXiv:2202.05607).

Control becomes supervised learning: act like an episode in which the return that was still to come, the return-to-go g,
was this large. At decision k a causal transformer reads g_k, o_k = (state, time) and the action before, and answers
with a Gaussian over the next action (`baselines/decision_transformer.py`). It is fitted to whole episodes of the replay
buffer, with the returns-to-go that they really had:

    max_θ  E log π_θ(a_k | g_0..k, o_0..k, a_0..k-1)   subject to   E H(π_θ) >= β
    λ ← λ - η λ (H - β),       loss = -log π_θ - λ H

Exploration asks for more than the best return so far. The judged policy asks for the best and plays the mean. Unlike in
the paper:

- Exploration draws with `explore` times the deviations of π_θ, and each draw remembers the one before by `correlation`,
  since independent draws cancel out over an episode.
- The three tokens of a decision are one, the context is the whole episode, and actions are held for `hold` intervals.
- The buffer starts from random controls, where the paper pretrains on the best of a data set. So better episodes are
  sampled more often, the one of rank r with weight exp(-r / `elite`). All are equally long.

A step spends `episodes` episodes, `init` spends `warmup`.
"""

from typing import Annotated, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Key

from baselines.attention import CausalTransformer, Heads
from baselines.decision_transformer import ReturnConditioned, Returns, token
from baselines.exploration import correlated, warm_up
from baselines.gaussian import mean_and_log_std
from baselines.normalisation import Scales, from_unit
from baselines.optimisation import adam, begin, descend
from baselines.replay_buffer import Replay
from baselines.schedules import run_length, with_run_length
from bench.budget import Usage
from bench.method import AbstractBudgetedMethod, Between
from bench.settings import Count, Depth, Finite, NotBelow, NotNegative, Positive, PositiveShare, Width, Within
from bench.simulate import rollout


class DecisionTransformer(eqx.Module):
    """The parameters that the optimiser moves: a transformer (tokens -> mean and log deviation) and log λ."""

    transformer: CausalTransformer
    log_temperature: Float[Array, ""]


class DecisionTransformerState(eqx.Module):
    net: DecisionTransformer
    optimiser: optax.OptState
    replay: Replay
    scales: Scales


class OnlineDecisionTransformer(AbstractBudgetedMethod[DecisionTransformerState]):
    """The same transformer, learning rate and targets on every task."""

    search: ClassVar = {
        "learning_rate": Between(2e-4, 1e-2, log=True),
        "optimism": Between(0.0, 2.0),
        "elite": Between(1.0, 20.0, log=True),
        "explore": Between(0.5, 4.0, log=True),
    }
    paced: ClassVar = ("updates",)

    warmup: Count = 10  # episodes
    episodes: Count = 2  # per step
    hold: Count = 4  # intervals per decision
    optimism: Finite = 1.0  # exploration asks for the best return plus so many standard deviations of the returns
    explore: NotNegative = 0.66  # deviations of the draws, in those of π_θ
    correlation: Annotated[float, Within(-1, 1)] = 0.9  # between the noise of one decision and the next
    updates: Count = 50  # per step
    batch: Count = 8  # episodes
    elite: Positive = 4.42  # ranks over which the weight of an episode falls by e
    capacity: Annotated[Count, NotBelow("warmup"), NotBelow("episodes")] = 200  # episodes kept
    entropy: Finite = -1.0  # β, per control, of actions in half ranges
    learning_rate: PositiveShare = 2.08e-4
    decay_share: Positive = 1.0  # share of the run over which a cosine takes the rate to a tenth
    width: Width = 64
    depth: Depth = 2
    heads: Heads = 2
    steps: float = run_length()

    def usage(self, task):
        spent = self.episodes * task.num_steps
        return Usage(spent, init_env_steps=self.warmup * task.num_steps, updates=self.updates)

    def within(self, task, budget):
        return with_run_length(self, self.warmup, task, budget)

    def init(self, task, key):
        n, m = len(task.states), len(task.controls)
        warmup_key, net_key = jr.split(key)
        episodes = warm_up(task, warmup_key, self.warmup)
        replay = Replay.empty(task, self.capacity).add(episodes)
        transformer = CausalTransformer(n + 3 + m, 2 * m, self.width, self.depth, self.heads, key=net_key)
        net = DecisionTransformer(transformer, jnp.log(0.1))
        optimiser = begin(self._optimiser(), net)
        return DecisionTransformerState(net, optimiser, replay, Scales.of(task, replay.xs, replay.filled))

    def step(self, task, state, key):
        learn_key, play_key = jr.split(key)
        net, optimiser = self._fit(task, state, learn_key)
        state = DecisionTransformerState(net, optimiser, state.replay, state.scales)
        returns = Returns.of(state.replay)

        def play(key):
            noise_key, start_key = jr.split(key)
            white = jr.normal(noise_key, (self._decisions(task), len(task.controls)))
            noise = self.explore * correlated(white, self.correlation)
            policy = self._policy(task, state, returns.best + self.optimism * returns.std, noise)
            return rollout(task, policy, task.start(start_key))

        replay = state.replay.add(jax.vmap(play)(jr.split(play_key, self.episodes)))
        return DecisionTransformerState(net, optimiser, replay, state.scales)

    def policy(self, task, state):
        noise = jnp.zeros((self._decisions(task), len(task.controls)))
        return self._policy(task, state, Returns.of(state.replay).best, noise)

    def _policy(self, task, state, target, noise):
        returns = Returns.of(state.replay)
        return ReturnConditioned(task, state.scales, returns, state.net.transformer, target, noise, self.hold)

    def _fit(self, task, state, key: Key[Array, ""]):
        """Return the network and its optimiser after `updates` updates on whole episodes of the buffer."""
        replay, returns, m = state.replay, Returns.of(state.replay), len(task.controls)
        start = self.hold * jnp.arange(self._decisions(task))
        middle = from_unit(task, jnp.zeros(m))

        def likelihood_and_entropy(net, row):
            xs, us = replay.xs[row, start], replay.us[row, start]
            to_go = -jnp.cumsum(replay.costs[row, ::-1])[::-1][start]
            before = jnp.concatenate([middle[None], us[:-1]])
            read = jax.vmap(lambda k, g, x, u: token(task, state.scales, returns, k * task.dt, g, x, u))
            mean, log_std = jax.vmap(mean_and_log_std)(net.transformer(read(start, to_go, xs, before)))
            z = (state.scales.control(us) - mean) / jnp.exp(log_std)
            density = -(z**2) / 2 - log_std - jnp.log(2 * jnp.pi) / 2
            return jnp.mean(density), jnp.mean(log_std + (1 + jnp.log(2 * jnp.pi)) / 2)

        cost = jnp.where((replay.filled > 0) & jnp.isfinite(replay.costs.sum(1)), replay.costs.sum(1), jnp.inf)
        rank = jnp.argsort(jnp.argsort(cost))
        weight = jnp.where(jnp.isfinite(cost), -rank / self.elite, -jnp.inf)

        def loss(net, key):
            rows = jr.categorical(key, weight, shape=(self.batch,))
            terms = jax.vmap(lambda row: likelihood_and_entropy(net, row))(rows)
            density, entropy = (jnp.mean(term) for term in terms)
            temperature = jnp.exp(net.log_temperature)
            slack = jax.lax.stop_gradient(entropy) - self.entropy
            return -density - jax.lax.stop_gradient(temperature) * entropy + temperature * slack

        return descend(self._optimiser(), loss, state.net, state.optimiser, jr.split(key, self.updates))

    def _decisions(self, task):
        return -(-task.num_steps // self.hold)  # the last may be shorter

    def _optimiser(self):
        return adam(self.learning_rate, self.decay_share * self.steps * self.updates)
