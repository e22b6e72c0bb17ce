"""Online decision transformer (Zheng, Zhang & Grover, ICML 2022, arXiv:2202.05607).

A causal transformer reads an episode so far and answers with a Gaussian over the next action, so that control becomes
supervised learning: act as one did when the return that was still to come, the return-to-go g, was this large. At
decision k it reads the token (g_k, o_k, a_{k-1}), o = (state, time):

    max_θ  E log π_θ(a_k | g_0..k, o_0..k, a_0..k-1)   subject to   E H(π_θ) >= β
    λ ← λ - η λ (H - β),       loss = -log π_θ - λ H

on whole episodes of the replay, relabelled with the returns that they really had. Exploration asks for more than the
best return so far; the judged policy asks for the best and plays the mean. Unlike in the paper, exploration draws with
`explore` times the deviations of π_θ, and each draw remembers the one before by `correlation`, since independent ones
cancel out over an episode; the three tokens of a step are one, the context is the whole episode, actions are held for
`hold` intervals, and the replay starts from random controls where the paper pretrains on the best of a data set, so the
better episodes are sampled more often: the one of rank r with weight exp(-r / `elite`). All are equally long.
Returns-to-go during an episode come from the known running cost, by the trapezoid rule. Spends `episodes` episodes a
step, `warmup` before.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Key

from baselines.attention import CausalTransformer
from baselines.exploration import correlated, warmup_episode
from baselines.networks import Scales, adam, from_unit, observe
from baselines.replay import Replay
from bench.budget import Usage
from bench.method import AbstractMethod, Between
from bench.simulate import AbstractPolicy, clip, rollout
from tasks.base import AbstractTask, Scalar


class DecisionTransformer(eqx.Module):
    """What the optimiser moves: the transformer (tokens -> mean and log deviation) and log λ."""

    transformer: CausalTransformer
    log_temperature: Float[Array, ""]


class Returns(eqx.Module):
    """Location and size of the returns in the replay, in which returns-to-go are read."""

    mean: Float[Array, ""]
    std: Float[Array, ""]
    best: Float[Array, ""]

    @classmethod
    def of(cls, replay: Replay) -> "Returns":
        returns, weights = -jnp.sum(replay.costs, axis=1), replay.filled
        mean = jnp.sum(weights * returns) / jnp.sum(weights)
        std = jnp.sqrt(jnp.sum(weights * (returns - mean) ** 2) / jnp.sum(weights))
        best = jnp.max(jnp.where(weights > 0, returns, -jnp.inf))
        return cls(mean, std + 1e-6 * jnp.abs(mean) + 1e-12, best)


class ReturnConditioned(AbstractPolicy):
    """Plays for a return `target`; `noise` in deviations of π, zeros for its mean."""

    task: AbstractTask
    scales: Scales
    returns: Returns
    transformer: CausalTransformer
    target: Float[Array, ""]
    noise: Float[Array, "decisions m"]
    hold: int = eqx.field(static=True)

    def initial(self):
        x, u = jnp.zeros_like(self.scales.mean), from_unit(self.task, jnp.zeros_like(self.noise[0]))
        return self.transformer.initial(len(self.noise)), x, u, self.target

    def __call__(self, t, x, carry):
        cache, x_last, u_last, to_go = carry
        k = jnp.round(t / self.task.dt).astype(int)  # not counted: of episodes side by side, all know when to decide
        rate = self.task.running_cost(t - self.task.dt, x_last, u_last) + self.task.running_cost(t, x, u_last)
        to_go = to_go + jnp.where(k > 0, rate * self.task.dt / 2, 0.0)  # what is paid is still to be gained

        def decide(cache):
            read = token(self.task, self.scales, self.returns, t, to_go, x, u_last)
            cache, output, _ = self.transformer.step(cache, read)
            mean, log_std = split(output)
            return cache, clip(self.task, from_unit(self.task, mean + jnp.exp(log_std) * self.noise[k // self.hold]))

        cache, u = jax.lax.cond(k % self.hold == 0, decide, lambda cache: (cache, u_last), cache)
        return u, (cache, x, u, to_go)


class DecisionTransformerState(eqx.Module):
    net: DecisionTransformer
    optimiser: optax.OptState
    replay: Replay
    scales: Scales


class OnlineDecisionTransformer(AbstractMethod[DecisionTransformerState]):
    """The same transformer, rate and targets on every task."""

    search: ClassVar = {
        "learning_rate": Between(2e-4, 1e-2, log=True),
        "optimism": Between(0.0, 2.0),
        "elite": Between(1.0, 20.0, log=True),
        "explore": Between(0.5, 4.0, log=True),
    }
    paced: ClassVar = ("updates",)

    warmup: int = 10  # episodes
    episodes: int = 2  # per step
    hold: int = 4  # intervals per decision
    optimism: float = 1.0  # what exploration asks for beyond the best return, in standard deviations of the replay's
    explore: float = 0.66  # deviations of the draws, in those of π_θ
    correlation: float = 0.9  # of the noise of one decision and the next
    updates: int = 50  # per step
    batch: int = 8  # episodes
    elite: float = 4.42  # ranks over which an episode's weight in the replay falls by e
    capacity: int = 200  # episodes kept
    entropy: float = -1.0  # β, per control, of actions in half ranges
    learning_rate: float = 2.08e-4
    decay_steps: int = 20  # over which a cosine takes the rate to a tenth
    width: int = 64
    depth: int = 2
    heads: int = 2

    def usage(self, task):
        spent = self.episodes * task.num_steps
        return Usage(spent, init_env_steps=self.warmup * task.num_steps, updates=self.updates)

    def init(self, task, key):
        n, m = len(task.states), len(task.controls)
        warmup_key, net_key = jr.split(key)
        batch = jax.vmap(lambda k: warmup_episode(task, k))(jr.split(warmup_key, self.warmup))
        replay = Replay.empty(task, self.capacity).add(batch)
        transformer = CausalTransformer(n + 3 + m, 2 * m, self.width, self.depth, self.heads, key=net_key)
        net = DecisionTransformer(transformer, jnp.log(0.1))
        optimiser = self._optimiser().init(eqx.filter(net, eqx.is_array))
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
        replay, returns, m = state.replay, Returns.of(state.replay), len(task.controls)
        start = self.hold * jnp.arange(self._decisions(task))
        middle = from_unit(task, jnp.zeros(m))

        def loss(net, rows):
            def one(row):
                xs, us = replay.xs[row, start], replay.us[row, start]
                to_go = -jnp.cumsum(replay.costs[row, ::-1])[::-1][start]
                before = jnp.concatenate([middle[None], us[:-1]])
                read = jax.vmap(lambda k, g, x, u: token(task, state.scales, returns, k * task.dt, g, x, u))
                mean, log_std = jax.vmap(split)(net.transformer(read(start, to_go, xs, before)))
                z = (state.scales.control(us) - mean) / jnp.exp(log_std)
                density = -(z**2) / 2 - log_std - jnp.log(2 * jnp.pi) / 2
                return jnp.mean(density), jnp.mean(log_std + (1 + jnp.log(2 * jnp.pi)) / 2)

            density, entropy = (jnp.mean(term) for term in jax.vmap(one)(rows))
            temperature = jnp.exp(net.log_temperature)
            slack = jax.lax.stop_gradient(entropy) - self.entropy
            return -density - jax.lax.stop_gradient(temperature) * entropy + temperature * slack

        cost = jnp.where((replay.filled > 0) & jnp.isfinite(replay.costs.sum(1)), replay.costs.sum(1), jnp.inf)
        rank = jnp.argsort(jnp.argsort(cost))
        weight = jnp.where(jnp.isfinite(cost), -rank / self.elite, -jnp.inf)

        def update(carry, key):
            net, optimiser = carry
            rows = jr.categorical(key, weight, shape=(self.batch,))
            updates, optimiser = self._optimiser().update(jax.grad(loss)(net, rows), optimiser)
            return (eqx.apply_updates(net, updates), optimiser), None

        return jax.lax.scan(update, (state.net, state.optimiser), jr.split(key, self.updates))[0]

    def _decisions(self, task):
        return -(-task.num_steps // self.hold)  # the last may be shorter

    def _optimiser(self):
        return adam(self.learning_rate, self.decay_steps * self.updates)


def token(
    task: AbstractTask,
    scales: Scales,
    returns: Returns,
    t: Scalar,
    to_go: Float[Array, ""],
    x: Float[Array, " n"],
    u: Float[Array, " m"],
) -> Float[Array, " token"]:
    """The token of a decision: return-to-go, observation, and the action before."""
    to_go = (to_go - returns.mean) / returns.std
    return jnp.concatenate([to_go[None], observe(task, scales, t, x), scales.control(u)])


def split(output: Float[Array, " outputs"]) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Mean and log standard deviation of an action in half ranges, from the transformer's read-out."""
    mean, log_std = jnp.split(output, 2)
    return mean, jnp.clip(log_std, -5.0, 2.0)
