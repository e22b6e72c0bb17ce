"""Explicit Runge-Kutta steps of Diffrax's solvers, in two forms that agree up to rounding.

    k_i = f(t + c_i h, x + h Σ_j a_ij k_j),      x(t + h) = x + h Σ_i b_i k_i,      ∫ g ≈ h Σ_i b_i g(same arguments)

`by_stages` writes the stages of a solver's Butcher tableau out, `by_solver` calls the solver, which loops over them.
Both start afresh at t, because a control jumps there and makes the last stage before it stale.
"""

from functools import partial
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bench.radau import Cost, Field
from tasks.base import Scalar


def by_stages(
    tableau: diffrax.ButcherTableau,
    field: Field,
    cost: Cost,
    t: Scalar,
    h: float,
    x: Float[Array, " n"],
    count: int,
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """Return (state after `count` steps of length h, running cost over them).

    A reverse pass keeps x alone and computes the stages again. On a CPU that is cheaper than to write and read
    some ten arrays an interval, and it compiles faster. It does not pay for the thirteen stages of Dopri8, whose
    gradient compiles in three to four times the time of `by_solver`.
    """
    stages = tableau.num_stages - tableau.fsal  # the last may only serve as the first of the next step
    nodes, weights = (0.0, *tableau.c.tolist())[:stages], tableau.b_sol.tolist()[:stages]
    rows = ([], *(row.tolist() for row in tableau.a_lower))

    def moved(start, weights, slopes):
        first, *others = [w * k for w, k in zip(weights, slopes, strict=True) if w]
        return start + h * sum(others, first)

    def step(carry, i):
        x, total = carry
        slopes, rates = [], []
        for node, row in zip(nodes, rows, strict=False):
            s, y = t + (i + node) * h, moved(x, row, slopes) if slopes else x
            slopes.append(field(s, y))
            rates.append(cost(s, y))
        return (moved(x, weights, slopes), moved(total, weights, rates)), None

    @partial(jax.checkpoint, prevent_cse=False)  # a scan over intervals keeps the two passes apart by itself
    def steps(start):
        if count == 1:
            return step(start, 0)[0]
        return jax.lax.scan(step, start, jnp.arange(count))[0]

    return steps((x, jnp.zeros((), x.dtype)))


def by_solver(
    solver: type[diffrax.AbstractSolver],
    field: Field,
    cost: Cost,
    t: Scalar,
    h: float,
    x: Float[Array, " n"],
    count: int,
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """Return what `by_stages` returns, by the solver's own `init` and `step`."""
    made, term = solver(), with_cost(field, cost)

    def step(carry, i):
        y, state = carry
        y, _, _, state, _ = made.step(term, t + i * h, t + (i + 1) * h, y, None, state, made_jump=False)
        return (y, state), None

    start = (x, jnp.zeros((), x.dtype))
    carry = (start, made.init(term, t, t + h, start, None))
    # XLA fuses two or three steps that are unrolled; more are a loop, which compiles as fast as one step.
    ((x, total), _), _ = jax.lax.scan(step, carry, jnp.arange(count), unroll=min(count, 3))
    return x, total


def with_cost(field: Field, cost: Cost) -> diffrax.ODETerm:
    """Return Diffrax's form of a field and the running cost, whose state is the pair of x and the cost so far."""

    def both(s: Any, y: Any, _: Any) -> Any:
        return field(s, y[0]), cost(s, y[0])

    return diffrax.ODETerm(both)
