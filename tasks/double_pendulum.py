"""Double pendulum: torques u₁ and u₂ on the two joints, each too weak to lift it, swing its two tips up.

    min  ∫₀ᵀ -h₁ - h₂ + 0.01 |u|² dt,   h₁ = -cos θ₁, h₂ = h₁ - cos θ₂ the tips' heights      |uᵢ| <= 2 N m,   T = 5 s
    2 θ₁'' + cos(θ₁ - θ₂) θ₂'' + sin(θ₁ - θ₂) θ₂'² + 2 g sin θ₁ = u₁ - u₂
    cos(θ₁ - θ₂) θ₁'' + θ₂'' - sin(θ₁ - θ₂) θ₁'² + g sin θ₂ = u₂      θ from hanging, θ(0) = (2.2, 2.6), at rest

And its launch: the first control chooses the angle from which the pendulum is let go, without torques.

    min  (1/4) |x(T) - x*|², angles the short way round    -1 <= u <= 1;  θ₁ <- 180 u at the end of the first interval

The launch starts at rest, hanging. x* is the state that u = 0.3 reaches on the default grid, to 8 decimals. 180 u is in
radians, as in the source's code.

Known of the swing-up: its Lyapunov exponent times the horizon is 7.2 (lorenz 6.1, the launch 4.0), and no method of
ours reaches its floor. In 50 episodes, 3 seeds of every learner score -8 to -11, also the oracle that has the
simulator's own gradient. So no claim rests on it; the claims about chaos use the launch and lorenz.

Source: Ma, Ni, Gehring, D'Oro & Bacon, *Do Transformer World Models Give Better Policy Gradients?* (ICML 2024), its
double pendulums; the equations of two unit point masses on unit rods are standard. No friction: they are chaotic.
"""

import math

import jax.numpy as jnp

from tasks.base import AbstractHybridTask, AbstractSolvedTask, AbstractTask, ControlVar, StateVar, wrap


def accelerations(g, angles, spins, torques):
    """Return θ₁'' and θ₂'', the solution of the equations above."""
    sin, cos = jnp.sin(angles[0] - angles[1]), jnp.cos(angles[0] - angles[1])
    first = torques[0] - torques[1] - sin * spins[1] ** 2 - 2 * g * jnp.sin(angles[0])
    second = torques[1] + sin * spins[0] ** 2 - g * jnp.sin(angles[1])
    return jnp.stack([first - cos * second, 2 * second - cos * first]) / (2 - cos**2)


class DoublePendulum(AbstractTask):
    states = (
        StateVar("first angle", 2.2, -2 * math.pi, 2 * math.pi, unit="rad", period=2 * math.pi),
        StateVar("second angle", 2.6, -2 * math.pi, 2 * math.pi, unit="rad", period=2 * math.pi),
        StateVar("first angular velocity", 0.0, -10.0, 10.0, unit="rad/s", spread=0.1),
        StateVar("second angular velocity", 0.0, -15.0, 15.0, unit="rad/s", spread=0.1),
    )
    controls = (ControlVar("shoulder torque", -2.0, 2.0, "N m"), ControlVar("elbow torque", -2.0, 2.0, "N m"))
    time_unit = "s"
    g: float = 9.8  # gravity, m/s2
    price_torque: float = 0.01  # price of the squared torques
    horizon: float = 5.0
    num_steps: int = 100
    solver: str = "dopri8"
    substeps: int = 4

    def vector_field(self, t, x, u):
        return jnp.concatenate([x[2:], accelerations(self.g, x[:2], x[2:], u)])

    def running_cost(self, t, x, u):
        return 2 * jnp.cos(x[0]) + jnp.cos(x[1]) + self.price_torque * jnp.sum(u**2)

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])


class DoublePendulumLaunch(AbstractHybridTask, AbstractSolvedTask):
    states = (
        StateVar("first angle", 0.0, -math.pi, math.pi, -1.42336360, "rad", period=2 * math.pi),
        StateVar("second angle", 0.0, -math.pi, math.pi, 1.09038951, "rad", period=2 * math.pi),
        StateVar("first angular velocity", 0.0, -10.0, 10.0, -4.35909462, "rad/s"),
        StateVar("second angular velocity", 0.0, -15.0, 15.0, -2.05561329, "rad/s"),
    )
    controls = (ControlVar("launch", -1.0, 1.0),)
    time_unit = "s"
    floor = "random"
    g: float = 9.8  # gravity, m/s2
    horizon: float = 5.0
    num_steps: int = 100
    solver: str = "dopri8"
    substeps: int = 3

    def vector_field(self, t, x, u):
        return jnp.concatenate([x[2:], accelerations(self.g, x[:2], x[2:], jnp.zeros_like(x[:2]))])

    def jump(self, t, x, u):
        return jnp.where(t < 1.5 * self.dt, x.at[0].set(180 * u[0]), x)

    def running_cost(self, t, x, u):
        return jnp.zeros_like(x[0])

    def terminal_cost(self, x):
        gaps = x - jnp.array([s.target for s in self.states])
        return jnp.mean(jnp.concatenate([wrap(gaps[:2]), gaps[2:]]) ** 2)

    def optimum(self):
        return 0.0 if (self.g, self.horizon, self.num_steps) == (9.8, 5.0, 100) else None  # u = 0.3 reaches x*
