"""Tasks translated to CasADi compute what JAX computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench.reference.fingerprint import probe_points
from bench.reference.jaxpr_to_casadi import UntranslatableError, casadi_function, casadi_functions
from tasks import TASKS


@pytest.mark.parametrize("name", TASKS)
def test_translated_functions_are_those_of_the_task(name, x64):
    task = TASKS[name]()
    functions = casadi_functions(task)

    def agree(found, expected):
        # 1e-12: float64 with operations in another order. Absolute for a sum that cancels, relative to its size.
        np.testing.assert_allclose(found.full().ravel(), np.ravel(expected), rtol=1e-12, atol=1e-12 * task.horizon)

    for t, x, u in probe_points(task):
        args = jnp.asarray(t), jnp.asarray(x), jnp.asarray(u)
        agree(functions.vector_field(t, x, u), task.vector_field(*args))
        agree(functions.running_cost(t, x, u), task.running_cost(*args))
        agree(functions.terminal_cost(x), task.terminal_cost(args[1]))
        if functions.jump:
            for time in (t, task.dt):  # most tasks have another reset in the first interval
                agree(functions.jump(time, x, u), task.jump(jnp.asarray(time), *args[1:]))


def test_calls_and_limits_are_followed_into(x64):
    # relu is a custom_jvp_call, clip a jitted clamp.
    made = casadi_function(lambda x: jnp.clip(jax.nn.relu(x), 0.5, 2.0), ((4,),))
    assert made([-1.0, 0.7, 1.5, 3.0]).full().ravel().tolist() == [0.5, 0.7, 1.5, 2.0]


def test_a_primitive_without_translation_is_named():
    with pytest.raises(UntranslatableError, match=r"'erf'.*Write the task without it"):
        casadi_function(lambda x: jax.scipy.special.erf(x), ((2,),))
