"""Traced programs evaluated by NumPy give the numbers that JAX gives, and compile nothing for a shipped task."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bench import registry
from bench.reference.fingerprint import fingerprint
from bench.reference.jaxpr_to_numpy import evaluate


def known(x):
    """What tasks are written with: all of it is NumPy's."""
    inside = (x > 0) & ~(x[0] >= x) | (x == 2.0)
    parts = [
        jnp.sin(x),
        jnp.exp(-x) ** 3,
        x**-2,
        jnp.abs(x) ** 0.5,
        jnp.where(inside, x, -x),
        x % 0.7,
        x[::2].sum() / x,
    ]
    return jnp.concatenate([*parts, jnp.stack([x[-1], jnp.tanh(x[1]), jnp.maximum(x[2], 1)]), jnp.zeros(2)])


def unknown(x):
    """Primitives with rules of their own, which JAX computes: whole numbers, ranges, tables, loops, own derivatives."""
    steps = (10 * x).astype(int)
    summed = jax.lax.scan(lambda total, each: (total + each, total), 0.0, x)[1]
    sorted_of = jnp.interp(x, jnp.array([-3.0, 0.0, 3.0]), jnp.array([1.0, 2.0, 5.0]))
    return jnp.concatenate(
        [steps // 3 + steps**2 + x, jnp.arange(4) * x, summed, sorted_of, jax.nn.softplus(x).at[1].set(0.0)]
    )


@pytest.mark.parametrize("function", [known, unknown])
def test_values_are_those_of_jax(function, x64):
    x = np.array([-1.3, 0.4, 2.0, -2.7])
    (found,) = evaluate(jax.make_jaxpr(function)(x), x)
    np.testing.assert_allclose(found, function(x), rtol=1e-14)  # NumPy's and XLA's functions differ in the last bits


def test_a_value_that_is_not_finite_is_a_value_without_a_warning(x64):
    x = np.array([0.0, -1.0])
    (found,) = evaluate(jax.make_jaxpr(lambda x: jnp.log(x) / x)(x), x)
    np.testing.assert_array_equal(found, [-np.inf, np.nan])


@pytest.mark.parametrize("name", ["cartpole", "harvest"])
def test_a_fingerprint_compiles_nothing(name, caplog):
    task = registry.task(name)
    jax.clear_caches()
    with jax.log_compiles():
        fingerprint(task)
    assert [line for line in caplog.messages if "XLA compilation" in line] == []
