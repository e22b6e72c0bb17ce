"""Radau IIA of order 5, for stiff plants: implicit Runge-Kutta with three stages (Hairer & Wanner, *Solving Ordinary
Differential Equations II*, 1996, sec. IV.8).

    z_i = h Σ_j a_ij f(t + c_j h, x + z_j),      x(t + h) = x + z_3,      ∫ g ≈ h Σ_j a_3j g(t + c_j h, x + z_j)

It is L-stable, and no stage lies outside of its step (0 < c <= 1), as a stage of Kvaerno's methods does, which would
read a control's next interval. Newton's method solves for z; the gradient is that of its last iteration alone, which by
the implicit function theorem is exact.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Field = Callable[[Float[Array, ""], Float[Array, " n"]], Float[Array, " n"]]  # f(t, x)
Cost = Callable[[Float[Array, ""], Float[Array, " n"]], Float[Array, ""]]  # g(t, x)

ROOT = 6**0.5
A = np.array(
    [
        [(88 - 7 * ROOT) / 360, (296 - 169 * ROOT) / 1800, (-2 + 3 * ROOT) / 225],
        [(296 + 169 * ROOT) / 1800, (88 + 7 * ROOT) / 360, (-2 - 3 * ROOT) / 225],
        [(16 - ROOT) / 36, (16 + ROOT) / 36, 1 / 9],
    ]
)
C = np.array([(4 - ROOT) / 10, (4 + ROOT) / 10, 1.0])
MAX_ITERATIONS = 20  # Newton's method takes two to five where the step suits the plant
MAX_STEPS = 4096  # of an adaptive solution
ORDER = 5


def step(
    field: Field, cost: Cost, t: Float[Array, ""], h: Float[Array, ""], x: Float[Array, " n"]
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """(state after h, running cost over h); nan where Newton's method does not converge."""
    a, c = jnp.asarray(A, x.dtype), jnp.asarray(C, x.dtype)
    pure, read = jax.closure_convert(field, t, x)  # `read` is what the field reads of its surroundings, a control say

    def newton(x, z, *read):
        """The next z, and how far it is away, in units of the states' sizes."""

        def of(s, y):
            return pure(s, y, *read)

        slopes = jax.vmap(of)(t + c * h, x + z)
        jacobians = jax.lax.stop_gradient(jax.vmap(jax.jacfwd(of, argnums=1))(t + c * h, x + z))
        matrix = jnp.eye(z.size, dtype=x.dtype) - h * jnp.einsum("ij,jnm->injm", a, jacobians).reshape(z.size, z.size)
        change = jnp.linalg.solve(matrix, (z - h * a @ slopes).ravel()).reshape(z.shape)
        return z - change, jnp.max(jnp.abs(change) / (jnp.abs(x) + jnp.abs(z) + 1e-3))

    def search(x, *read):
        """z by Newton's method from 0; its gradient is not that of the search."""
        close = 100 * jnp.finfo(x.dtype).eps

        def goes_on(carry):
            _, distance, count = carry
            return (distance > close) & (count < MAX_ITERATIONS)

        start = jnp.zeros((len(C), len(x)), x.dtype), jnp.asarray(jnp.inf, x.dtype), 0
        z, distance, _ = jax.lax.while_loop(goes_on, lambda carry: (*newton(x, carry[0], *read), carry[2] + 1), start)
        # Rounding may keep the changes from becoming that small; a search that fails leaves large ones.
        return jnp.where(distance < jnp.sqrt(close), z, jnp.nan)

    z, _ = newton(x, search(*jax.lax.stop_gradient((x, *read))), *read)
    return x + z[-1], h * a[-1] @ jax.vmap(cost)(t + c * h, x + z)


def steps(
    field: Field, cost: Cost, t: Float[Array, ""], h: Float[Array, ""], x: Float[Array, " n"], count: int
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """`count` steps of length h."""

    def one(carry, i):
        x, total = carry
        x, more = step(field, cost, t + i * h, h, x)
        return (x, total + more), None

    return jax.lax.scan(one, (x, jnp.zeros((), x.dtype)), jnp.arange(count))[0]


def adaptive(
    field: Field, cost: Cost, t: Float[Array, ""], h: Float[Array, ""], x: Float[Array, " n"], rtol: float
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """The same over one h, by steps that are halved until a step and its two halves agree; nan after MAX_STEPS."""
    end, atol = t + h, 1e-2 * rtol

    def attempt(carry):
        t, size, x, total, count = carry
        size = jnp.minimum(size, end - t)
        whole = step(field, cost, t, size, x)
        halves = steps(field, cost, t, size / 2, x, 2)
        errors = [jnp.abs(p - q) / (atol + rtol * jnp.abs(q)) for p, q in zip(whole, halves, strict=True)]
        error = jnp.maximum(jnp.max(errors[0]), errors[1])
        error = jnp.where(jnp.isfinite(error), error, jnp.inf)
        kept = error <= 1
        factor = jnp.clip(0.9 * jnp.maximum(error, 1e-10) ** (-1 / (ORDER + 1)), 0.2, 5.0)
        after = t + size, size * factor, halves[0], total + halves[1], count + 1
        return jax.tree.map(lambda new, old: jnp.where(kept, new, old), after, (t, size * factor, x, total, count + 1))

    start = t, h, x, jnp.zeros((), x.dtype), 0
    unfinished = (1 - 1e-12) * h  # what rounding leaves of the end is no step
    reached, _, x, total, _ = jax.lax.while_loop(
        lambda c: (c[0] - t < unfinished) & (c[-1] < MAX_STEPS), attempt, start
    )
    return jax.tree.map(lambda v: jnp.where(reached - t < unfinished, jnp.nan, v), (x, total))
