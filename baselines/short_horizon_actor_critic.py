"""Short-horizon actor-critic, SHAC (Xu et al., ICLR 2022, arXiv:2204.07137).

The gradient of the true simulator goes through windows of h intervals only. Where a window ends, a target critic V̄
stands for the cost that is still to come. In each window [k, k + h) of the episode under way, with controls
u = π_θ(t, x) + noise and c the costs of intervals,

    θ ← θ - α ∇_θ (Σ_{l=k}^{k+h-1} c_l + V̄(o_{k+h})),      V̄ = 0 after the last interval

and the next window goes on where this one ended, without its gradient. After the episode the critic is fitted to the
λ-returns of the last few, and the target follows it:

    G_k = c_k + (1 - λ) V̄(o_{k+1}) + λ G_{k+1},      V ← V - β ∇ mean (V(o_k) - G_k)²,      V̄ ← (1 - τ) V̄ + τ V

o = (state, time). V is the mean of the G_k at k plus a network's output times their spread around it. The output layers
are rescaled when the spread changes: costs shrink by orders of magnitude from the first to the last episodes, and
errors in ∂V̄/∂x steer the actor. π starts around the average control of the best warm-up episode. In the paper, windows
come from hundreds of simulations at once. Here the critic keeps some episodes instead, and the noise is a given one
that fades. Every differentiated step is charged: a step spends one episode and its gradient, `init` spends `warmup`.
"""

from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

from baselines.critics import RescaledCritic, lambda_returns, location_and_spread
from baselines.exploration import best_level, ou_noise, warm_up
from baselines.networks import MLP, policy_network, with_output_bias
from baselines.normalisation import Scales, observe
from baselines.optimisation import adam, begin, descend
from baselines.policies import FeedbackPolicy
from baselines.replay_buffer import Replay
from baselines.schedules import fade, run_length, with_run_length
from bench.budget import Usage
from bench.method import AbstractBudgetedMethod, Between
from bench.noisy_task import end_cost, observed
from bench.settings import Count, NotNegative, Positive, PositiveShare, Share, Width
from bench.simulate import clip, transition

FINAL_NOISE_SHARE = 0.01  # share of the noise that is left after `decay_share` of the run


class SHACState(eqx.Module):
    actor: MLP
    critic: RescaledCritic
    target: RescaledCritic
    actor_optimiser: optax.OptState
    critic_optimiser: optax.OptState
    replay: Replay
    scales: Scales


class SHAC(AbstractBudgetedMethod[SHACState]):
    """The same windows, learning rates and network sizes on every task."""

    search: ClassVar = {
        "window": (10, 20, 34, 50),
        "learning_rate": Between(5e-4, 2e-2, log=True),
        "critic_learning_rate": Between(5e-4, 2e-2, log=True),
        "noise": Between(0.05, 0.6, log=True),
    }
    paced: ClassVar = ("critic_updates",)

    window: Count = 20  # h, intervals; an episode's last window has those that are left
    warmup: Count = 4  # episodes, from which the scales of states and costs are read
    noise: NotNegative = 0.0683  # in half ranges, in the first episode
    learning_rate: PositiveShare = 0.0135
    critic_learning_rate: PositiveShare = 0.0136
    critic_updates: Count = 40  # per step
    recent: Count = 4  # episodes that the critic is fitted to
    trace: Share = 0.95  # λ
    polyak: PositiveShare = 0.8  # τ
    decay_share: Positive = 1.0  # of the run; a cosine takes the rate to a hundredth, the critic's to a tenth
    width: Width = 64
    steps: float = run_length()

    def usage(self, task):
        spent = task.num_steps
        return Usage(spent, spent, self.warmup * spent, self._windows(task) + self.critic_updates)

    def within(self, task, budget):
        return with_run_length(self, self.warmup, task, budget)

    def init(self, task, key):
        warmup_key, actor_key, critic_key = jr.split(key, 3)
        episodes = warm_up(task, warmup_key, self.warmup)
        replay = Replay.empty(task, max(self.recent, self.warmup)).add(episodes)
        scales = Scales.of(task, episodes.xs)
        net = policy_network(task, self.width, len(task.controls), key=actor_key)
        actor = with_output_bias(net, best_level(scales, episodes))
        to_go = jnp.cumsum(replay.costs[: self.warmup, ::-1], axis=1)[:, ::-1]
        critic = RescaledCritic(policy_network(task, self.width, 1, key=critic_key), *location_and_spread(to_go))
        optimisers = begin(self._actor_optimiser(task), actor), begin(self._critic_optimiser(), critic.net)
        return SHACState(actor, critic, critic, *optimisers, replay, scales)

    def step(self, task, state, key):
        start_key, noise_key = jr.split(key)
        faded = fade(state.replay.added - self.warmup, self.decay_share * self.steps, FINAL_NOISE_SHARE)
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
        """Return the state after an update of the actor on intervals [first, first + length) from x, and the last x."""
        ks = first + jnp.arange(length)

        def loss(actor):
            policy = FeedbackPolicy(task, state.scales, actor)

            def interval(x, k):
                t = k * jnp.asarray(task.dt, x.dtype)
                u = clip(task, policy.control(t, observed(x)) + noise[k])
                x_next, cost = transition(task, t, x, u)
                cost = cost + jnp.where(k == task.num_steps - 1, end_cost(task, x_next), 0.0)
                return x_next, (x, u, cost, x_next)

            x_end, played = jax.lax.scan(interval, x, ks)
            to_go = self._to_go(task, state.scales, state.target, first + length, observed(x_end))
            return (jnp.sum(played[2]) + to_go) / state.target.std, (ks, *played)

        gradient, (ks, xs, us, costs, after) = jax.grad(loss, has_aux=True)(state.actor)
        updates, optimiser = self._actor_optimiser(task).update(gradient, state.actor_optimiser)
        replay = state.replay.write_each(ks, jax.vmap(observed)(xs), us, costs, jax.vmap(observed)(after))
        new = eqx.apply_updates(state.actor, updates), optimiser, replay
        end = jax.tree.map(lambda leaf: leaf[-1], after)
        return eqx.tree_at(lambda s: (s.actor, s.actor_optimiser, s.replay), state, new), end

    def _to_go(self, task, scales, critic, k, x):
        """Return the critic's cost to go from x before interval k, 0 after the last."""
        t = k * jnp.asarray(task.dt, x.dtype)
        return jnp.where(
            k == task.num_steps, 0.0, critic(jnp.minimum(k, task.num_steps - 1), observe(task, scales, t, x))
        )

    def _fit(self, task, state):
        """Return the state with the critic fitted to the newest episodes, and the target moved towards it."""
        rows = state.replay.newest_rows(self.recent)
        ks = jnp.arange(task.num_steps + 1)

        def values(critic):  # "recent knots"
            at_knot = jax.vmap(lambda k, x: self._to_go(task, state.scales, critic, k, x))
            return jax.vmap(lambda xs: at_knot(ks, xs))(state.replay.xs[rows])

        returns = jax.vmap(partial(lambda_returns, trace=self.trace))
        targets = returns(state.replay.costs[rows], values(state.target)[:, 1:])
        critic, target = state.critic.rescaled(targets), state.target.rescaled(targets)

        def loss(net, _):
            judged = values(RescaledCritic(net, critic.mean, critic.std))[:, :-1]
            return jnp.mean(((judged - targets) / critic.std) ** 2)

        begun = critic.net, state.critic_optimiser
        net, optimiser = descend(self._critic_optimiser(), loss, *begun, updates=self.critic_updates)
        critic = RescaledCritic(net, critic.mean, critic.std)
        target = jax.tree.map(lambda new, old: old + self.polyak * (new - old), critic, target)
        return eqx.tree_at(lambda s: (s.critic, s.critic_optimiser, s.target), state, (critic, optimiser, target))

    def _windows(self, task):
        return -(-task.num_steps // self.window)

    def _actor_optimiser(self, task):
        return adam(self.learning_rate, self.decay_share * self.steps * self._windows(task), end=0.01)

    def _critic_optimiser(self):
        return adam(self.critic_learning_rate, self.decay_share * self.steps * self.critic_updates)
