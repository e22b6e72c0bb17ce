"""The cost of a policy in a world model.

    J(θ) = Σ_t ½ Δt (g(t, x̂[t], u[t]) + g(t + Δt, x̂[t+1], u[t])) + Φ(x̂[H]),      u[t] = π_θ(t, s[t]) + noise

x̂ are the states that the model predicts from the start of a real episode. Two settings say which states s the policy
reads, and whether the gradient sees that the controls depend on them:

    states = "real"        s[t] = x[t], the real episode's; the model's errors on that episode are added to x̂
    states = "imagined"    s[t] = x̂[t], decoded from the model under the current policy
    cut_feedback           the gradient with respect to s is cut

With the cut, all controls are computed at once from fixed states, and one call of the model predicts all states. For an
actions world model neither pass is sequential, and the gradient is exact.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from baselines.abstract_models import AbstractWorldModel
from baselines.exploration import ou_noise
from baselines.policies import AbstractNoisyPolicy
from baselines.replication import Bonus, entropy_bonus, noise_memory
from bench.simulate import trapezoid_costs
from tasks.base import AbstractTask, Scalar


class Imagination(NamedTuple):
    """A way to imagine an episode."""

    states: Literal["real", "imagined"]
    cut_feedback: bool
    noise: float  # in half ranges
    bonus: Bonus = "none"  # for the policy's entropy, times `entropy`
    entropy: Scalar = 0.0

    def cost(
        self,
        task: AbstractTask,
        policy: AbstractNoisyPolicy,
        model: AbstractWorldModel,
        xs: Float[Array, "knots n"],
        errors: Float[Array, "steps n"],
        key: Key[Array, ""],
    ) -> Float[Array, ""]:
        """Return J from the start of a real episode with states xs, on which the model has these errors."""
        ts = task.dt * jnp.arange(task.num_steps)
        noise = self.noise * ou_noise(task, key, noise_memory(self.bonus))

        def decode(carry, inputs):
            x, memory = carry
            u = policy.perturbed(inputs[0], jax.lax.stop_gradient(x) if self.cut_feedback else x, inputs[1])
            memory, x_next = model.advance(memory, u)
            return (x_next, memory), (x, x_next, u)

        if self.states == "imagined":
            start = (xs[0], model.initial(xs[0], task.num_steps))
            read, predicted, controls = jax.lax.scan(decode, start, (ts, noise))[1]
            if self.cut_feedback:  # the same values; this way the gradient needs no sequential pass
                controls = jax.vmap(policy.perturbed)(ts, jax.lax.stop_gradient(read), noise)
                predicted = model(xs[0], controls)
        else:
            read = xs[:-1]
            controls = jax.vmap(policy.perturbed)(ts, read, noise)
            predicted = model(xs[0], controls) + errors
        cost = trapezoid_cost(task, jnp.concatenate([xs[:1], predicted]), controls)
        return cost - self.entropy * entropy_bonus(policy, self.bonus, read, noise)


def trapezoid_cost(task: AbstractTask, xs: Float[Array, "knots n"], us: Float[Array, "steps m"]) -> Float[Array, ""]:
    """Return J of states at the knots, by the trapezoid rule on each interval with its control held."""
    return jnp.sum(trapezoid_costs(task, xs, us)) + task.terminal_cost(xs[-1])
