"""A learner ends at the same policy whatever the unit of cost; some also with a constant added to it."""

import jax
import jax.random as jr
import pytest
from reference_tasks import DoubleIntegrator

from bench import registry
from bench.simulate import rollout

STEPS = 6


class OtherUnit(DoubleIntegrator):
    factor: float = 1.0
    shift: float = 0.0

    def running_cost(self, t, x, u):
        return self.factor * (x[0] ** 2 + x[1] ** 2 + self.w * u[0] ** 2)

    def terminal_cost(self, x):
        return self.factor * 2 * (x[0] ** 2 + x[1] ** 2) + self.shift


UPDATES = ("updates", "policy_updates", "model_updates", "critic_updates", "epochs")  # few of them, to be quick
# A shift of 1e6 leaves float32 a sixteenth of a cost: methods that fit a value of states lose what they fit in it.
SHIFTED = ("simulator_gradient", "evolution", "one_step_model")


@pytest.mark.parametrize("name", [*SHIFTED, "sac", "ppo"])
def test_a_cost_in_another_unit_is_learned_alike(name):
    known = registry.settings_of(registry.method(name))
    method = registry.method(name, {key: 5 for key in UPDATES if key in known})
    plain = DoubleIntegrator(num_steps=8)

    @jax.jit
    def learned(factor, shift):
        task = OtherUnit(factor=factor, shift=shift, num_steps=8)
        state = method.init(task, jr.key(0))
        state, _ = jax.lax.scan(lambda s, key: (method.step(task, s, key), None), state, jr.split(jr.key(1), STEPS))
        return rollout(plain, method.policy(plain, state), plain.x0).cost

    # 1e-4: roundings of float32, 6e-8 each, that some updates enlarge; before, 1e-12 changed the cost of
    # simulator_gradient by 0.7. The many updates of SAC enlarge them to 1e-2, so its factors are powers of two, which
    # round nothing.
    factors = (2.0**-40, 2.0**40) if name == "sac" else (1e-12, 1e12)
    wanted = float(learned(1.0, 0.0))
    assert [float(learned(factor, 0.0)) for factor in factors] == pytest.approx([wanted] * 2, rel=1e-4)
    if name in SHIFTED:
        # 1e-4: no gradient has the shift; it alters the spread of the warm-up's costs, by which losses are divided.
        assert float(learned(1.0, 1e6)) == pytest.approx(wanted, rel=1e-4)
