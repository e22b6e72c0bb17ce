"""Cart-pole swing-up: a force u on a cart of position q brings the pole, at the angle θ from hanging, upright.

    min  ∫₀ᵀ u² dt + w Σ miss²,   targets q = 1, θ = π, q' = θ' = 0 at T = 2 s      |u| <= 20 N
    q'' = (l m₂ sin θ θ'² + u + m₂ g cos θ sin θ) / (m₁ + m₂ sin² θ)
    θ'' = -(l m₂ cos θ sin θ θ'² + u cos θ + (m₁ + m₂) g sin θ) / (l m₁ + l m₂ sin² θ)

Source: Kelly, *An introduction to trajectory optimization*, SIAM Review 59 (2017) 849-904, sec. 6.

Differs from Myriad: Myriad drops the factor sin θ of θ'². Here it is as in the source, so a free pole keeps its energy.
Myriad's targets are constraints of the optimiser. Here they are priced at the end, and a miss is in units of the
state's range.
"""

import math

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class Cartpole(AbstractTask):
    states = (
        StateVar("position", 0.0, -2.0, 2.0, 1.0, "m", spread=0.1),
        StateVar("angle", 0.0, -2 * math.pi, 2 * math.pi, math.pi, "rad", period=2 * math.pi, spread=0.1),
        StateVar("velocity", 0.0, -5.0, 5.0, 0.0, "m/s", spread=0.1),
        StateVar("angular velocity", 0.0, -10.0, 10.0, 0.0, "rad/s", spread=0.1),
    )
    controls = (ControlVar("force", -20.0, 20.0, "N"),)
    time_unit = "s"
    g: float = 9.81  # gravity, m/s2
    m_1: float = 1.0  # mass of the cart, kg
    m_2: float = 0.3  # mass at the end of the pole, kg
    l: float = 0.5  # length of the pole, m
    weight: float = 5e4  # price of missing a target by the whole range
    horizon: float = 2.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        _, angle, velocity, spin = x
        g, m_1, m_2, l = self.g, self.m_1, self.m_2, self.l
        sin, cos = jnp.sin(angle), jnp.cos(angle)
        mass = m_1 + m_2 * sin**2
        push = l * m_2 * sin * spin**2 + u[0]
        acceleration = (push + m_2 * g * cos * sin) / mass
        return jnp.stack([velocity, spin, acceleration, -(push * cos + (m_1 + m_2) * g * sin) / (l * mass)])

    def running_cost(self, t, x, u):
        return u[0] ** 2

    def terminal_cost(self, x):
        return self.weight * jnp.sum(self.misses(x) ** 2)
