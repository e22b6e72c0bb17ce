"""Direct policy gradient through the true simulator (backpropagation through time).

    θ ← θ - α ∇_θ J(θ),      x[t+1] = F(t, x[t], u[t]),      u[t] = π_θ(t, sg(x[t]))

sg cuts the gradient through the state that the policy reads, the setting of Ma et al. (ICML 2024) for every method;
`cut_feedback = False` is full backpropagation through time. Every differentiated step is charged as an environment
step: a step of this method is `updates` episodes, and their gradients.

With `charged = False` it is an oracle, an upper bound of what gradients through a model could do: it declares one
episode a step, which paces it through the same budget as the others, and simulates and differentiates the other
`updates - 1` for free. It is measured and shown, and never ranked.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

from baselines.exploration import warmup_episode
from baselines.networks import MLP, FeedbackPolicy, Scales, adam, policy_network
from bench.budget import Usage
from bench.method import AbstractMethod, Between
from bench.simulate import AbstractPolicy, rollout


class SimulatorGradientState(eqx.Module):
    net: MLP
    scales: Scales
    optimiser: optax.OptState


class WithoutFeedbackGradient(AbstractPolicy):
    """The same controls as another policy; the gradient does not see that they depend on the state."""

    policy: FeedbackPolicy

    def initial(self):
        return self.policy.initial()

    def __call__(self, t, x, carry):
        return self.policy(t, jax.lax.stop_gradient(x), carry)


class SimulatorGradient(AbstractMethod[SimulatorGradientState]):
    """Gradient steps, each on an episode of its own."""

    search: ClassVar = {
        "learning_rate": Between(1e-3, 1e-1, log=True),
        "momentum": Between(0.0, 0.95),
        "warmup": Between(2, 10),
    }

    cut_feedback: bool = True
    charged: bool = True
    updates: int = 1  # per step
    warmup: int = 2  # episodes, from which the scales of the states are read
    learning_rate: float = 0.0234
    momentum: float = 0.641  # of so few updates
    decay_steps: int = 46  # over which a cosine takes the rate to a hundredth: at a tenth, stiff costs still jump
    width: int = 64

    def usage(self, task):
        steps = task.num_steps * (self.updates if self.charged else 1)
        return Usage(
            steps, steps, init_env_steps=self.warmup * task.num_steps, updates=self.updates, charged=self.charged
        )

    def init(self, task, key):
        warmup_key, net_key = jr.split(key)
        batch = jax.vmap(lambda k: warmup_episode(task, k))(jr.split(warmup_key, self.warmup))
        net = policy_network(task, self.width, len(task.controls), key=net_key)
        scales = Scales.of(task, batch.xs, jnp.ones(self.warmup))
        return SimulatorGradientState(net, scales, self._optimiser().init(eqx.filter(net, eqx.is_array)))

    def step(self, task, state, key):
        def update(state, key):
            x0 = task.start(key)

            def loss(net):
                policy = FeedbackPolicy(task, state.scales, net)
                return rollout(task, WithoutFeedbackGradient(policy) if self.cut_feedback else policy, x0).cost

            updates, optimiser = self._optimiser().update(jax.grad(loss)(state.net), state.optimiser)
            net = eqx.apply_updates(state.net, updates)
            return SimulatorGradientState(net, state.scales, optimiser), None

        return jax.lax.scan(update, state, jr.split(key, self.updates))[0]

    def policy(self, task, state):
        return FeedbackPolicy(task, state.scales, state.net)

    def _optimiser(self):
        return adam(self.learning_rate, self.decay_steps * self.updates, self.momentum, end=0.01)
