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
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float

from baselines.exploration import cost_spread, ou_noise, warm_up
from baselines.networks import MLP, policy_network
from baselines.normalisation import Scales
from baselines.optimisation import adam, begin, descend
from baselines.policies import Perturbed, WithoutFeedbackGradient
from baselines.replication import Bonus, acting, cost_unit, entropy_bonus, noise_memory, outputs, scales_of
from baselines.schedules import run_length, with_run_length
from bench.budget import Usage
from bench.method import AbstractBudgetedMethod, Between
from bench.settings import Count, NotNegative, Positive, PositiveShare, Width, Within
from bench.simulate import rollout


class SimulatorGradientState(eqx.Module):
    net: MLP
    scales: Scales
    optimiser: optax.OptState
    cost_scale: Float[Array, ""]


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
    warmup: Count = 2  # episodes, from which the scales of states and costs are read
    # Standard deviation of the warm-up costs after scaling: it decides which gradients are clipped.
    cost_size: Positive = 100.0
    learning_rate: PositiveShare = 0.0234
    momentum: Annotated[float, Within(0, 1, open_high=True)] = 0.641  # lower than usual, for so few updates
    # Share of the run over which a cosine takes the rate to a hundredth: at a tenth, stiff costs still jump.
    decay_share: Positive = 0.96
    width: Width = 64
    batch: Count = 1  # episodes an update
    raw: bool = False  # for replication, like the next three: networks read states and time as they are
    bonus: Bonus = "none"  # entropy bonus of a Gaussian policy, over time
    entropy: NotNegative = 0.1  # weight of the bonus
    shared_noise: bool = False  # a batch's episodes draw the same noise
    steps: float = run_length()

    def usage(self, task):
        steps = task.num_steps * (self.updates * self.batch if self.charged else 1)
        return Usage(
            steps, steps, init_env_steps=self.warmup * task.num_steps, updates=self.updates, charged=self.charged
        )

    def within(self, task, budget):
        return with_run_length(self, self.warmup, task, budget)

    def init(self, task, key):
        warmup_key, net_key = jr.split(key)
        episodes = warm_up(task, warmup_key, self.warmup)
        net = policy_network(task, self.width, outputs(task, self.bonus), key=net_key)
        scales = scales_of(task, episodes.xs, raw=self.raw)
        unit = cost_unit(cost_spread(episodes) / self.cost_size, self.raw)
        return SimulatorGradientState(net, scales, begin(self._optimiser(), net), unit)

    def step(self, task, state, key):
        def cost(net, noise_key, start_key):
            policy = acting(task, state.scales, net, self.bonus)
            noise = ou_noise(task, noise_key, noise_memory(self.bonus))
            played = policy if self.bonus == "none" else Perturbed(policy, noise)
            judged = WithoutFeedbackGradient(played) if self.cut_feedback else played
            episode = rollout(task, judged, task.start(start_key))
            return episode.cost - self.entropy * entropy_bonus(policy, self.bonus, episode.xs[:-1], noise)

        def loss(net, key):
            noise_keys, start_keys = jr.split(key, (2, self.batch))
            noise_keys = noise_keys[jnp.zeros(self.batch, int)] if self.shared_noise else noise_keys
            costs = jax.vmap(lambda noise, start: cost(net, noise, start))(noise_keys, start_keys)
            return jnp.mean(costs) / state.cost_scale

        keys = jr.split(key, self.updates)
        net, optimiser = descend(self._optimiser(), loss, state.net, state.optimiser, keys)
        return SimulatorGradientState(net, state.scales, optimiser, state.cost_scale)

    def policy(self, task, state):
        return acting(task, state.scales, state.net, self.bonus)

    def _optimiser(self):
        return adam(self.learning_rate, self.decay_share * self.steps * self.updates, self.momentum, end=0.01)
