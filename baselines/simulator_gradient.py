"""Direct policy gradient through the true simulator (backpropagation through time).

    θ ← θ - α ∇_θ J(θ),      x[t+1] = F(t, x[t], u[t]),      u[t] = π_θ(t, sg(x[t]))

sg cuts the gradient through the state that the policy reads, the setting of Ma et al. (ICML 2024) for every method.
With `cut_feedback = False` this is full backpropagation through time. Every differentiated step is charged as an
environment step: a step of this method spends `updates` episodes, and their gradients.

With `charged = False` it is an oracle, an upper bound for methods that take gradients through a model. It declares one
episode a step, so it gets as many steps from a budget as the other methods, and simulates and differentiates the other
`updates - 1` for free. It is measured and shown, and never ranked.
"""

from typing import Annotated, ClassVar

import equinox as eqx
import jax.random as jr
import optax

from baselines.exploration import warm_up
from baselines.networks import MLP, policy_network
from baselines.normalisation import Scales
from baselines.optimisation import adam, begin, descend
from baselines.policies import FeedbackPolicy, WithoutFeedbackGradient
from baselines.schedules import run_length, with_run_length
from bench.budget import Usage
from bench.method import AbstractBudgetedMethod, Between
from bench.settings import Count, Positive, PositiveShare, Width, Within
from bench.simulate import rollout


class SimulatorGradientState(eqx.Module):
    net: MLP
    scales: Scales
    optimiser: optax.OptState


class SimulatorGradient(AbstractBudgetedMethod[SimulatorGradientState]):
    """Gradient steps, each on an episode of its own."""

    search: ClassVar = {
        "learning_rate": Between(1e-3, 1e-1, log=True),
        "momentum": Between(0.0, 0.95),
        "warmup": Between(2, 10),
    }

    cut_feedback: bool = True
    charged: bool = True
    updates: Count = 1  # per step
    warmup: Count = 2  # episodes, from which the scales of the states are read
    learning_rate: PositiveShare = 0.0234
    momentum: Annotated[float, Within(0, 1, open_high=True)] = 0.641  # lower than usual, for so few updates
    # Share of the run over which a cosine takes the rate to a hundredth: at a tenth, stiff costs still jump.
    decay_share: Positive = 0.96
    width: Width = 64
    steps: float = run_length()

    def usage(self, task):
        steps = task.num_steps * (self.updates if self.charged else 1)
        return Usage(
            steps, steps, init_env_steps=self.warmup * task.num_steps, updates=self.updates, charged=self.charged
        )

    def within(self, task, budget):
        return with_run_length(self, self.warmup, task, budget)

    def init(self, task, key):
        warmup_key, net_key = jr.split(key)
        episodes = warm_up(task, warmup_key, self.warmup)
        net = policy_network(task, self.width, len(task.controls), key=net_key)
        return SimulatorGradientState(net, Scales.of(task, episodes.xs), begin(self._optimiser(), net))

    def step(self, task, state, key):
        def loss(net, key):
            policy = FeedbackPolicy(task, state.scales, net)
            judged = WithoutFeedbackGradient(policy) if self.cut_feedback else policy
            return rollout(task, judged, task.start(key)).cost

        keys = jr.split(key, self.updates)
        net, optimiser = descend(self._optimiser(), loss, state.net, state.optimiser, keys)
        return SimulatorGradientState(net, state.scales, optimiser)

    def policy(self, task, state):
        return FeedbackPolicy(task, state.scales, state.net)

    def _optimiser(self):
        return adam(self.learning_rate, self.decay_share * self.steps * self.updates, self.momentum, end=0.01)
