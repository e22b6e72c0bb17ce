"""Tasks translated to CasADi compute what JAX computes."""

import casadi
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


# What a task may be written with, by the part of the language that it needs; x has three entries.
EVERYDAY = {
    "products": lambda x: jnp.eye(3)[:, ::-1] @ x + jnp.dot(x, x) + jnp.einsum("i,j->ij", x, x) @ x,
    "batched products": lambda x: jnp.einsum("bij,bj->bi", jnp.ones((2, 3, 3)) * x, jnp.stack([x, 2 * x])),
    "outer and trace": lambda x: jnp.trace(jnp.outer(x, x + 1)) * x,
    "trigonometry": lambda x: jnp.tan(x) + jnp.arctan2(x, 2.0) + jnp.arcsin(x / 3) + jnp.arccos(x / 3) + jnp.sinc(x),
    "hyperbolic": lambda x: jnp.tanh(x) + jnp.sinh(x) + jnp.cosh(x) + jnp.arcsinh(x) + jnp.arctanh(x / 3),
    "powers": lambda x: jnp.square(x) + (x + 2) ** 1.5 + jnp.cbrt(x) + jnp.exp2(x) + 1 / x + x**-3 + jnp.hypot(x, 1.0),
    "logarithms": lambda x: jnp.log1p(x + 1) + jnp.expm1(x) + jnp.log10(x + 2) + jnp.logaddexp(x, 0.3),
    "networks": lambda x: jax.nn.sigmoid(40 * x) + jax.nn.softplus(x) + jax.nn.gelu(x) + jax.nn.softmax(x),
    "normal law": lambda x: jax.scipy.special.erf(x) + jax.scipy.stats.norm.cdf(x),
    "comparisons": lambda x: jnp.where((x <= 0) | ~(x < 1), 1.0, x) + jnp.where((x >= 0) & (x != 0.3), x, 2.0),
    "rounding": lambda x: jnp.floor(x) + jnp.ceil(x) + jnp.round(2.5 * x) + jnp.mod(x, 0.4) + x // 0.4 + jnp.trunc(x),
    "signs": lambda x: jnp.abs(x) + jnp.sign(x) + jnp.clip(x, -0.5, 0.5) + jnp.maximum(x, 0) + jnp.minimum(x, 0.1),
    "reductions": lambda x: jnp.stack([x.max(), x.min(), x.prod(), x.mean(), x.std(), jnp.linalg.norm(x)]),
    "reductions of an axis": lambda x: jnp.sum(jnp.outer(x, x), axis=0) + jnp.max(jnp.outer(x, x), axis=1),
    "truth": lambda x: jnp.where(jnp.any(x < 0) & ~jnp.all(x < 0), x, 0.0),
    "running": lambda x: jnp.cumsum(x) + jnp.cumprod(x) + jax.lax.cummax(x, reverse=True) + jnp.append(jnp.diff(x), 0),
    "order": lambda x: x[::-1] + x[jnp.array([2, 0, 0])] + jnp.roll(x, 1) + jnp.flip(x) + jnp.tile(x[:1], 3),
    "shapes": lambda x: (
        (x.reshape(3, 1) * jnp.expand_dims(x, 0)).T + jnp.pad(x[1:], (1, 0)) + jnp.concatenate([x, x])[:3]
    ),
    "splits": lambda x: jnp.concatenate(jnp.split(x, 3)[::-1]) + jnp.hstack([x[0], *x[1:]]),
    "updates": lambda x: x.at[0].set(1.0).at[1].add(x[2]).at[2].multiply(3.0).at[jnp.array([0, 0])].add(1.0),
    "least and most": lambda x: x.at[0].min(-2.0).at[2].max(x[0]),
    "places": lambda x: x * jnp.argmax(x) + jnp.argmin(x) + x[jnp.argmax(x)],
    "tables": lambda x: jnp.interp(x, jnp.linspace(-1, 2, 7), jnp.linspace(-1, 2, 7) ** 2),
    "pieces": lambda x: jnp.piecewise(x, [x < 0, x >= 1], [-1.0, lambda y: y * y, 0.5]),
    "polynomials": lambda x: jnp.polyval(jnp.array([1.0, -2.0, 3.0]), x),
    "a branch": lambda x: jax.lax.cond(x[0] > x[1], lambda y: y, lambda y: -y, x),
    "a switch": lambda x: jax.lax.switch(jnp.int32(x[2] * 2), [lambda y: y, lambda y: 2 * y, lambda y: 3 * y], x),
    "a loop": lambda x: jax.lax.fori_loop(0, 4, lambda i, y: y + i * x, x),
    "a while loop": lambda x: jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * x), (0, x))[1],
    "a scan": lambda x: jax.lax.scan(lambda c, y: (c * y + 1, c), 0.5, x, reverse=True)[1],
    "a map": lambda x: jax.vmap(lambda a: a * jnp.exp(a))(x) + jax.lax.map(jnp.sin, x),
    "linear systems": lambda x: jnp.linalg.solve(jnp.array([[4.0, 1, 0], [1, 3, 1], [0, 2, 5]]), x),
    "cross products": lambda x: jnp.cross(x, jnp.array([1.0, 2.0, 0.5])),
    "marks": lambda x: jax.lax.stop_gradient(x) + jnp.nan_to_num(x) + jnp.isfinite(x) * jax.checkpoint(jnp.sin)(x),
    "types": lambda x: x * (x > 0).astype(float) + jnp.int32(3 * x) // 2 + jnp.full(3, 2),
}


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_functions_are_translated(name, x64):
    compute = EVERYDAY[name]
    made = casadi_function(compute, ((3,),))
    for x in ([0.3, -0.7, 1.2], [0.31, -0.2, 0.9], [0.9, 0.5, 0.11]):
        # 1e-11: float64 in another order of operations, cube roots and normal laws by other formulas.
        np.testing.assert_allclose(made(x).full().ravel(), np.ravel(compute(jnp.array(x))), rtol=1e-11, atol=1e-11)


UNARY = [
    jnp.sin,
    jnp.tanh,
    jnp.abs,
    jax.nn.sigmoid,
    jnp.square,
    jnp.sqrt,
    jnp.exp,
    jax.nn.relu,
    jnp.cumsum,
    jnp.negative,
]
BINARY = [
    jnp.add,
    jnp.multiply,
    jnp.maximum,
    jnp.arctan2,
    jnp.hypot,
    lambda a, b: jnp.where(a < b, a, b * b),
    jnp.minimum,
]


@pytest.mark.parametrize("seed", range(20))
def test_random_expressions_are_translated(seed, x64):
    """Values, and derivatives by CasADi and by JAX, of functions made at random from two inputs."""

    def compute(x, y):
        rng = np.random.default_rng(seed)
        made = [x, y, x[::-1] * jnp.arange(1, 4)]
        for _ in range(8):
            a, b = (made[i] for i in rng.integers(len(made), size=2))
            one, two = UNARY[rng.integers(len(UNARY))], BINARY[rng.integers(len(BINARY))]
            made.append(jnp.tanh(two(one(jnp.abs(a) + 0.1), b)))  # bounded, so that nothing overflows
        return made[-1] + jnp.sum(made[-2]) * made[-3]

    at = jnp.array([0.3, -0.7, 1.2]), jnp.array([0.5, 0.2, -1.1])
    made = casadi_function(compute, ((3,), (3,)))
    # 1e-11: float64 in another order of operations.
    np.testing.assert_allclose(made(*at).full().ravel(), compute(*at), rtol=1e-11, atol=1e-11)
    symbols = [casadi.SX.sym("x", 3), casadi.SX.sym("y", 3)]
    jacobian = casadi.Function("J", symbols, [casadi.jacobian(made(*symbols), symbols[0])])
    np.testing.assert_allclose(jacobian(*at).full(), jax.jacrev(compute)(*at), rtol=1e-9, atol=1e-9)


def test_a_primitive_without_translation_is_named():
    with pytest.raises(UntranslatableError, match=r"'sort'.*Write the task without it"):
        casadi_function(jnp.sort, ((3,),))
    with pytest.raises(UntranslatableError, match="'while'"):
        casadi_function(lambda x: jax.lax.while_loop(lambda y: y[0] < 9, lambda y: 2 * y, x), ((1,),))
    with pytest.raises(UntranslatableError, match="'and'"):  # of bits
        casadi_function(lambda x: jnp.int32(x) & 6, ((1,),))
