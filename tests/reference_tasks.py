"""Tasks that only tests use: linear-quadratic ones with a known optimum, a saddle, and Gymnasium's pendulum."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from tasks import AbstractConstrainedTask, AbstractTask, ControlVar, StateVar
from tasks.base import AbstractHybridTask, wrap


class DoubleIntegrator(AbstractTask):
    """min ∫ x₀² + x₁² + w u² dt + 2 |x(T)|²,  x₀' = x₁,  x₁' = u; the bounds are not active at the optimum."""

    states = (StateVar("position", 1.0), StateVar("velocity", 0.0))
    controls = (ControlVar("force", -3.0, 3.0),)
    w: float = 0.5
    horizon: float = 2.0
    num_steps: int = 10
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return jnp.stack([x[1], u[0]])

    def running_cost(self, t, x, u):
        return x[0] ** 2 + x[1] ** 2 + self.w * u[0] ** 2

    def terminal_cost(self, x):
        return 2 * (x[0] ** 2 + x[1] ** 2)

    def optimum(self, x0=(1.0, 0.0)) -> float:
        """Minimum cost from x0 over held controls, by the discrete Riccati recursion (Bertsekas, vol. 1, sec. 3.1).

        The cost of an interval is a quadratic form in (x₀, x₁, u) that is integrated along the exact motion.
        """
        h = self.horizon / self.num_steps
        F, G = np.array([[1, h], [0, 1]]), np.array([[h**2 / 2], [h]])

        def rows(s):
            return np.array([[1, s, s**2 / 2], [0, 1, s]])

        M = interval_cost(rows, h, np.eye(2), self.w)
        return float(np.array(x0) @ riccati(F, G, M, 2 * np.eye(2), self.num_steps) @ np.array(x0))


def interval_cost(rows, h, Q, w):
    """The matrix of the form in (x, u) of ∫ x(s)' Q x(s) + w u² ds over an interval, by Gauss-Legendre quadrature.

    The motion is x(s) = rows(s) (x, u).
    """
    M = np.zeros((len(Q) + 1, len(Q) + 1))
    nodes, weights = np.polynomial.legendre.leggauss(20)
    for s, weight in zip((nodes + 1) * h / 2, weights * h / 2, strict=True):
        M += weight * (rows(s).T @ Q @ rows(s))
        M[-1, -1] += weight * w
    return M


def riccati(F, G, M, P, steps):
    """The matrix P of the least cost x' P x over `steps` intervals; the argument P is that of the terminal cost.

    An interval leads from x to F x + G u, and its cost is the quadratic form M in (x, u).
    """
    n = len(F)
    for _ in range(steps):
        Q = M[:n, :n] + F.T @ P @ F
        S = M[:n, n:] + F.T @ P @ G
        R = M[n:, n:] + G.T @ P @ G
        P = Q - S @ np.linalg.solve(R, S.T)
    return P


class Unstable(AbstractTask):
    """min ∫ x² + u² dt,  x' = 20 x + u: an error in the first control grows by e⁴⁰ until the end."""

    states = (StateVar("x", 0.5, -1.0, 1.0),)
    controls = (ControlVar("u", -50.0, 50.0),)
    horizon: float = 2.0
    num_steps: int = 40
    solver: str = "dopri8"
    substeps: int = 2

    def vector_field(self, t, x, u):
        return 20 * x + u

    def running_cost(self, t, x, u):
        return x[0] ** 2 + u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])

    def optimum(self) -> float:
        """Minimum cost over held controls, by the discrete Riccati recursion."""
        h = self.horizon / self.num_steps

        def rows(s):
            return np.array([[np.exp(20 * s), np.expm1(20 * s) / 20]])

        M = interval_cost(rows, h, np.eye(1), 1.0)
        P = riccati(rows(h)[:, :1], rows(h)[:, 1:], M, np.zeros((1, 1)), self.num_steps)
        return 0.25 * float(P[0, 0])


class Hilltop(AbstractTask):
    """min -∫ u² dt: u = 0 is a stationary point, and a maximum."""

    states = (StateVar("x", 0.0, -1.0, 1.0),)
    controls = (ControlVar("u", -1.0, 1.0),)
    horizon: float = 1.0
    num_steps: int = 5
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return u

    def running_cost(self, t, x, u):
        return -(u[0] ** 2)

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])


class BrysonDenham(AbstractConstrainedTask):
    """min ∫ u² / 2 dt,  x'' = u,  from (0, 1) to (0, -1) with x <= l = 1/9: the minimum is 4 / (9 l) = 4.

    Source: Bryson & Ho, *Applied Optimal Control* (1975), sec. 3.11.
    """

    states = (StateVar("x", 0.0, 0.0, 0.15, 0.0), StateVar("v", 1.0, -1.0, 1.0, -1.0))
    controls = (ControlVar("u", -10.0, 10.0),)
    limit: float = 1 / 9
    penalty: float = 100.0
    horizon: float = 1.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return jnp.stack([x[1], u[0]])

    def unpriced_running_cost(self, t, x, u):
        return 0.5 * u[0] ** 2

    def unpriced_terminal_cost(self, x):
        return jnp.zeros_like(x[0])

    def path_constraints(self, t, x, u):
        return jnp.stack([x[0] / self.limit - 1])

    def end_constraints(self, x):
        return jnp.zeros(0, x.dtype)


class Brachistochrone(AbstractConstrainedTask):
    """min T from (0, 10) to (10, 5) under g = 9.80665: time runs from 0 to 1, at a pace that is a second control.

    Fastest descent 1.8016 (dymos, its brachistochrone example).
    """

    states = (StateVar("x", 0.0, 0.0, 10.0, 10.0), StateVar("y", 10.0, 0.0, 10.0, 5.0), StateVar("v", 0.0, 0.0, 12.0))
    controls = (ControlVar("angle", 0.0, 3.1), ControlVar("pace", 0.5, 4.0))
    penalty: float = 100.0
    horizon: float = 1.0
    num_steps: int = 50
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        angle, pace = u
        return pace * jnp.stack([x[2] * jnp.sin(angle), -x[2] * jnp.cos(angle), 9.80665 * jnp.cos(angle)])

    def unpriced_running_cost(self, t, x, u):
        return u[1]

    def unpriced_terminal_cost(self, x):
        return jnp.zeros_like(x[0])

    def path_constraints(self, t, x, u):
        return jnp.zeros(0, x.dtype)

    def end_constraints(self, x):
        return jnp.zeros(0, x.dtype)


class GymPendulum(AbstractHybridTask):
    """Gymnasium's Pendulum-v1 to the digit.

    Its observation is the state, its semi-implicit Euler step is the jump at an interval's end, and its reward, paid
    before the step, is minus the cost. Starts are drawn as Gymnasium draws them.
    """

    states = (StateVar("cosine", -1.0), StateVar("sine", 0.0), StateVar("angular velocity", 0.0))
    controls = (ControlVar("torque", -2.0, 2.0),)
    horizon: float = 10.0
    num_steps: int = 200
    solver: str = "euler"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return jnp.zeros_like(x)

    def jump(self, t, x, u):
        velocity = jnp.clip(x[2] + (15 * x[1] + 3 * u[0]) * 0.05, -8, 8)
        angle = jnp.arctan2(x[1], x[0]) + velocity * 0.05
        return jnp.stack([jnp.cos(angle), jnp.sin(angle), velocity])

    def running_cost(self, t, x, u):
        angle = wrap(jnp.arctan2(x[1], x[0]))
        return (angle**2 + 0.1 * x[2] ** 2 + 0.001 * u[0] ** 2) / 0.05

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])

    def sample_start(self, key):
        angle, velocity = jr.uniform(key, (2,), minval=-1.0) * jnp.array([jnp.pi, 1.0])
        return jnp.stack([jnp.cos(angle), jnp.sin(angle), velocity])
