"""Short-horizon actor-critic, SHAC (Xu et al., ICLR 2022, arXiv:2204.07137).

The gradient of the true simulator, but through windows of h intervals only; a target critic V̄ stands for the cost that
is still to come where a window ends. In each window [k, k + h) of the episode under way, with controls
u = π_θ(t, x) + noise and c the costs of intervals,

    θ ← θ - α ∇_θ (Σ_{l=k}^{k+h-1} c_l + V̄(o_{k+h})),      V̄ = 0 after the last interval

and the next window goes on where this one ended, without its gradient. After an episode the critic is fitted to the
λ-returns of the last few, the newest ones included, and the target follows it:

    G_k = c_k + (1 - λ) V̄(o_{k+1}) + λ G_{k+1},      V ← V - β ∇ mean (V(o_k) - G_k)²,      V̄ ← (1 - τ) V̄ + τ V

o = (state, time), and costs have the usual cost of an interval taken off and are in units of the returns' spread. The
critic keeps some episodes where the paper's reads the newest window of hundreds: a budget here pays for tens. The noise
is that of all gradient methods here, not learned. Every differentiated step is charged: a step spends one episode,
and its gradient.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float

from baselines.exploration import ou_noise, warmup_episode
from baselines.networks import MLP, FeedbackPolicy, Scales, adam, observe, policy_network
from baselines.replay import Replay
from bench.method import AbstractMethod, Usage
from bench.simulate import clip, transition


class SHACState(eqx.Module):
    actor: MLP
    critic: MLP  # observation -> cost to go
    target: MLP
    actor_optimiser: optax.OptState
    critic_optimiser: optax.OptState
    replay: Replay
    scales: Scales
    mean: Float[Array, ""]  # of costs to go
    std: Float[Array, ""]


class SHAC(AbstractMethod[SHACState]):
    """The same windows, rates and networks' sizes on every task."""

    window: int = 20  # h
    warmup: int = 4  # episodes, from which scales are read
    noise: float = 0.2  # of the first episode, in half ranges
    quiet: float = 0.01
    momentum: float = 0.9
    learning_rate: float = 5e-3
    critic_learning_rate: float = 3e-3
    critic_updates: int = 40  # per step
    recent: int = 4  # episodes that the critic is fitted to
    trace: float = 0.95  # λ
    adapt: float = 0.5
    popart: bool = True
    polyak: float = 0.8  # τ
    decay_steps: int = 46  # over which a cosine takes the rate to a hundredth
    width: int = 64

    def usage(self, task):
        windows = -(-task.num_steps // self.window)
        spent = task.num_steps
        return Usage(spent, spent, self.warmup * spent, windows + self.critic_updates)

    def init(self, task, key):
        warmup_key, actor_key, critic_key = jr.split(key, 3)
        batch = jax.vmap(lambda k: warmup_episode(task, k))(jr.split(warmup_key, self.warmup))
        actor = policy_network(task, self.width, len(task.controls), key=actor_key)
        critic = policy_network(task, self.width, 1, key=critic_key)
        replay = Replay.empty(task, max(self.recent, self.warmup)).add(batch)
        to_go = jnp.cumsum(replay.costs[: self.warmup, ::-1], axis=1)
        return SHACState(
            actor,
            critic,
            critic,
            self._actor_optimiser(task).init(eqx.filter(actor, eqx.is_array)),
            self._critic_optimiser().init(eqx.filter(critic, eqx.is_array)),
            replay,
            Scales.of(task, batch.xs, jnp.ones(self.warmup)),
            *location_and_size(to_go),
        )

    def step(self, task, state, key):
        start_key, noise_key = jr.split(key)
        half_range = (state.scales.high - state.scales.low) / 2
        episode = state.replay.added - self.warmup
        amplitude = self.noise * self.quiet ** (episode / self.decay_steps)
        noise = amplitude * half_range * ou_noise(task, noise_key)

        def window(carry, first, length):
            return self._window(task, *carry, noise, first, length), None

        whole, rest = divmod(task.num_steps, self.window)
        firsts = self.window * jnp.arange(whole)
        carry, _ = jax.lax.scan(lambda c, first: window(c, first, self.window), (state, task.start(start_key)), firsts)
        if rest:
            carry, _ = window(carry, jnp.asarray(whole * self.window), rest)
        return self._fit(task, carry[0])

    def policy(self, task, state):
        return FeedbackPolicy(task, state.scales, state.actor)

    def _window(self, task, state, x, noise, first, length):
        """An update of the actor on intervals [first, first + length) from x; (state, the state of the task after)."""
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
            to_go = self._to_go(task, state, state.target, first + length, x_end)
            return (jnp.sum(played[2]) + to_go) / state.std, played

        gradient, played = jax.grad(loss, has_aux=True)(state.actor)
        updates, optimiser = self._actor_optimiser(task).update(gradient, state.actor_optimiser)
        replay, _ = jax.lax.scan(lambda r, step: (r.write(*step), None), state.replay, (ks, *played))
        state = eqx.tree_at(
            lambda s: (s.actor, s.actor_optimiser, s.replay),
            state,
            (eqx.apply_updates(state.actor, updates), optimiser, replay),
        )
        return state, played[3][-1]

    def _to_go(self, task, state, critic, k, x):
        """The critic's cost to go from x before interval k: 0 after the last."""
        t = k * jnp.asarray(task.dt, x.dtype)
        value = state.mean + state.std * critic(observe(task, state.scales, t, x))[0]
        return jnp.where(k == task.num_steps, 0.0, value)

    def _fit(self, task, state):
        """The critic fitted to the λ-returns of the newest episodes."""
        rows = (state.replay.added - 1 - jnp.arange(self.recent)) % len(state.replay.xs)
        xs, costs = state.replay.xs[rows], state.replay.costs[rows]
        ks = jnp.arange(task.num_steps + 1)

        def values(state, critic):
            of_episode = jax.vmap(lambda k, x: self._to_go(task, state, critic, k, x))
            return jax.vmap(lambda xs: of_episode(ks, xs))(xs)

        def backwards(later, inputs):
            cost, value = inputs
            later = cost + (1 - self.trace) * value + self.trace * later
            return later, later

        after = values(state, state.target)[:, 1:]
        targets = jax.lax.scan(backwards, after[:, -1], (costs.T, after.T), reverse=True)[1].T
        mean, std = location_and_size(targets)
        old = state
        adapt = self.adapt
        state = eqx.tree_at(lambda s: (s.mean, s.std), state, (old.mean + adapt * (mean - old.mean), old.std + adapt * (std - old.std)))
        if self.popart:
            fix = lambda net: eqx.tree_at(lambda n: (n.layers[-1].weight, n.layers[-1].bias), net, (net.layers[-1].weight*old.std/state.std, (old.std*net.layers[-1].bias+old.mean-state.mean)/state.std))
            state = eqx.tree_at(lambda s: (s.critic, s.target), state, (fix(state.critic), fix(state.target)))

        def loss(critic):
            return jnp.mean(((values(state, critic)[:, :-1] - targets) / state.std) ** 2)

        def update(carry, _):
            critic, optimiser = carry
            updates, optimiser = self._critic_optimiser().update(jax.grad(loss)(critic), optimiser)
            return (eqx.apply_updates(critic, updates), optimiser), None

        fitted = jax.lax.scan(update, (state.critic, state.critic_optimiser), length=self.critic_updates)[0]
        target = jax.tree.map(lambda w, old: old + self.polyak * (w - old), fitted[0], state.target)
        return eqx.tree_at(lambda s: (s.critic, s.critic_optimiser, s.target), state, (*fitted, target))

    def _actor_optimiser(self, task):
        windows = -(-task.num_steps // self.window)
        return adam(self.learning_rate, self.decay_steps * windows, self.momentum, end=0.01)

    def _critic_optimiser(self):
        return adam(self.critic_learning_rate, self.decay_steps * self.critic_updates)


def location_and_size(costs):
    """Mean and standard deviation."""
    mean = jnp.mean(costs)
    return mean, jnp.std(costs) + 1e-6 * jnp.abs(mean) + 1e-12
