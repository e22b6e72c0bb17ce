"""Short-horizon actor-critic, SHAC (Xu et al., ICLR 2022, arXiv:2204.07137).

The gradient of the true simulator, but through windows of h intervals only; a target critic V̄ stands for the cost that
is still to come where a window ends. In each window [k, k + h) of the episode under way, with controls
u = π_θ(t, x) + noise and c the costs of intervals,

    θ ← θ - α ∇_θ (Σ_{l=k}^{k+h-1} c_l + V̄(o_{k+h})),      V̄ = 0 after the last interval

and the next window goes on where this one ended, without its gradient. After the episode the critic is fitted to the
λ-returns of the last few, and the target follows it:

    G_k = c_k + (1 - λ) V̄(o_{k+1}) + λ G_{k+1},      V ← V - β ∇ mean (V(o_k) - G_k)²,      V̄ ← (1 - τ) V̄ + τ V

o = (state, time). V is the mean of the G_k at k plus a network's output times their spread around it, and the output
layers are rescaled when the spread changes (after PopArt: van Hasselt et al., 2016, arXiv:1602.07714): from the first
to the last episodes costs shrink by orders of magnitude, and errors in ∂V̄/∂x steer the actor. π starts around the
average control of the best warm-up episode. Unlike in the paper, whose windows come from hundreds of simulations, a
critic keeps some episodes, and the noise is a given one that fades. Every differentiated step is charged: a step spends
one episode and its gradient.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int

from baselines.exploration import best_level, ou_noise, warmup_episode
from baselines.networks import MLP, FeedbackPolicy, Scales, adam, around, observe, policy_network
from baselines.replay import Replay
from bench.budget import Usage
from bench.method import AbstractMethod, Between
from bench.simulate import clip, transition

FADE = 0.01  # what is left of the noise after `decay_steps`


class Critic(eqx.Module):
    """V(k, o) = mean[k] + std * net(o)."""

    net: MLP
    mean: Float[Array, " steps"]
    std: Float[Array, ""]

    def __call__(self, k: Int[Array, ""], observation: Float[Array, " obs"]) -> Float[Array, ""]:
        return self.mean[k] + self.std * self.net(observation)[0]

    def rescaled(self, to_go: Float[Array, "episodes steps"]) -> "Critic":
        """The same function of the observation, around the mean of these costs to go and in units of their spread; the
        unit falls to no less than a half at once."""
        mean, spread = location_and_spread(to_go)
        std = jnp.maximum(spread, self.std / 2)
        last = self.net.layers[-1]
        new = self.std / std * last.weight, self.std / std * jnp.asarray(last.bias)
        return Critic(eqx.tree_at(lambda n: (n.layers[-1].weight, n.layers[-1].bias), self.net, new), mean, std)


class SHACState(eqx.Module):
    actor: MLP
    critic: Critic
    target: Critic
    actor_optimiser: optax.OptState
    critic_optimiser: optax.OptState
    replay: Replay
    scales: Scales


class SHAC(AbstractMethod[SHACState]):
    """The same windows, rates and networks' sizes on every task."""

    search: ClassVar = {
        "window": (10, 20, 34, 50),
        "learning_rate": Between(5e-4, 2e-2, log=True),
        "critic_learning_rate": Between(5e-4, 2e-2, log=True),
        "noise": Between(0.05, 0.6, log=True),
    }
    paced: ClassVar = ("critic_updates",)

    window: int = 20  # h, intervals; of the last window of an episode what is left
    warmup: int = 4  # episodes, from which the scales of states and costs are read
    noise: float = 0.0683  # in half ranges, in the first episode
    learning_rate: float = 0.0135
    critic_learning_rate: float = 0.0136
    critic_updates: int = 40  # per step
    recent: int = 4  # episodes that the critic is fitted to
    trace: float = 0.95  # λ
    polyak: float = 0.8  # τ
    decay_steps: int = 46  # over which a cosine takes the rate to a hundredth, the critic's to a tenth
    width: int = 64

    def usage(self, task):
        spent = task.num_steps
        return Usage(spent, spent, self.warmup * spent, self._windows(task) + self.critic_updates)

    def init(self, task, key):
        warmup_key, actor_key, critic_key = jr.split(key, 3)
        batch = jax.vmap(lambda k: warmup_episode(task, k))(jr.split(warmup_key, self.warmup))
        replay = Replay.empty(task, max(self.recent, self.warmup)).add(batch)
        scales = Scales.of(task, batch.xs, jnp.ones(self.warmup))
        net = policy_network(task, self.width, len(task.controls), key=actor_key)
        actor = around(net, best_level(scales, batch))
        to_go = jnp.cumsum(replay.costs[: self.warmup, ::-1], axis=1)[:, ::-1]
        value_net = policy_network(task, self.width, 1, key=critic_key)
        critic = Critic(value_net, *location_and_spread(to_go))
        return SHACState(
            actor,
            critic,
            critic,
            self._actor_optimiser(task).init(eqx.filter(actor, eqx.is_array)),
            self._critic_optimiser().init(eqx.filter(critic.net, eqx.is_array)),
            replay,
            scales,
        )

    def step(self, task, state, key):
        start_key, noise_key = jr.split(key)
        faded = FADE ** ((state.replay.added - self.warmup) / self.decay_steps)
        noise = self.noise * faded * (state.scales.high - state.scales.low) / 2 * ou_noise(task, noise_key)

        def window(carry, first):
            return self._window(task, carry[0], carry[1], noise, first, self.window), None

        whole, rest = divmod(task.num_steps, self.window)
        (state, x), _ = jax.lax.scan(window, (state, task.start(start_key)), self.window * jnp.arange(whole))
        if rest:
            state, _ = self._window(task, state, x, noise, jnp.asarray(whole * self.window), rest)
        return self._fit(task, state)

    def policy(self, task, state):
        return FeedbackPolicy(task, state.scales, state.actor)

    def _window(self, task, state, x, noise, first, length):
        """(state after an update of the actor on intervals [first, first + length) from x, where the task is then)."""
        ks = first + jnp.arange(length)

        def loss(actor):
            policy = FeedbackPolicy(task, state.scales, actor)

            def interval(x, k):
                t = k * jnp.asarray(task.dt, x.dtype)
                u = clip(task, policy.control(t, x) + noise[k])
                x_next, cost = transition(task, t, x, u)
                cost = cost + jnp.where(k == task.num_steps - 1, task.terminal_cost(x_next), 0.0)
                return x_next, (x, u, cost, x_next)

            x_end, played = jax.lax.scan(interval, x, ks)
            to_go = self._to_go(task, state.scales, state.target, first + length, x_end)
            return (jnp.sum(played[2]) + to_go) / state.target.std, (ks, *played)

        gradient, played = jax.grad(loss, has_aux=True)(state.actor)
        updates, optimiser = self._actor_optimiser(task).update(gradient, state.actor_optimiser)
        replay, _ = jax.lax.scan(lambda replay, interval: (replay.write(*interval), None), state.replay, played)
        new = eqx.apply_updates(state.actor, updates), optimiser, replay
        return eqx.tree_at(lambda s: (s.actor, s.actor_optimiser, s.replay), state, new), played[-1][-1]

    def _to_go(self, task, scales, critic, k, x):
        """The critic's cost to go from x before interval k, 0 after the last."""
        t = k * jnp.asarray(task.dt, x.dtype)
        return jnp.where(
            k == task.num_steps, 0.0, critic(jnp.minimum(k, task.num_steps - 1), observe(task, scales, t, x))
        )

    def _fit(self, task, state):
        """The critic fitted to the newest episodes, and the target after it."""
        rows = (state.replay.added - 1 - jnp.arange(self.recent)) % len(state.replay.xs)
        ks = jnp.arange(task.num_steps + 1)

        def values(critic):  # recent knots
            of_knot = jax.vmap(lambda k, x: self._to_go(task, state.scales, critic, k, x))
            return jax.vmap(lambda xs: of_knot(ks, xs))(state.replay.xs[rows])

        targets = jax.vmap(lambda c, v: lambda_returns(c, v, self.trace))(
            state.replay.costs[rows], values(state.target)[:, 1:]
        )
        critic, target = state.critic.rescaled(targets), state.target.rescaled(targets)

        def loss(net):
            judged = values(Critic(net, critic.mean, critic.std))[:, :-1]
            return jnp.mean(((judged - targets) / critic.std) ** 2)

        def update(carry, _):
            net, optimiser = carry
            updates, optimiser = self._critic_optimiser().update(jax.grad(loss)(net), optimiser)
            return (eqx.apply_updates(net, updates), optimiser), None

        (net, optimiser), _ = jax.lax.scan(update, (critic.net, state.critic_optimiser), length=self.critic_updates)
        critic = Critic(net, critic.mean, critic.std)
        target = jax.tree.map(lambda new, old: old + self.polyak * (new - old), critic, target)
        return eqx.tree_at(lambda s: (s.critic, s.critic_optimiser, s.target), state, (critic, optimiser, target))

    def _windows(self, task):
        return -(-task.num_steps // self.window)

    def _actor_optimiser(self, task):
        return adam(self.learning_rate, self.decay_steps * self._windows(task), end=0.01)

    def _critic_optimiser(self):
        return adam(self.critic_learning_rate, self.decay_steps * self.critic_updates)


def lambda_returns(
    costs: Float[Array, " steps"], after: Float[Array, " steps"], trace: Float[Array, ""] | float
) -> Float[Array, " steps"]:
    """TD(λ) targets of an episode's costs, with the values of the states after each interval (0 after the last)."""

    def backwards(later, inputs):
        cost, value = inputs
        later = cost + (1 - trace) * value + trace * later
        return later, later

    return jax.lax.scan(backwards, after[-1], (costs, after), reverse=True)[1]


def location_and_spread(to_go: Float[Array, "episodes steps"]) -> tuple[Float[Array, " steps"], Float[Array, ""]]:
    """The mean over episodes for each interval, and the standard deviation around it over all."""
    mean = jnp.mean(to_go, axis=0)
    return mean, jnp.sqrt(jnp.mean((to_go - mean) ** 2)) + 1e-6 * jnp.mean(jnp.abs(mean)) + 1e-12
