"""Rocket landing: a rocket falls on its side from 1 km, and a throttled, gimballed engine sets it down upright.

    min  ∫₀ᵀ u₀² + u₁² + 2 θ'² + c max(-y, 0)² dt + w Σ miss²,   target 0 of all six states at T = 16 s
    x'' = F u₀ sin(u₁ + θ) / m,   y'' = F u₀ cos(u₁ + θ) / m - g,   θ'' = -(l/2) F u₀ sin(u₁) / I,   I = m l² / 12
    0.4 <= u₀ <= 1 throttle,   |u₁| <= 20° gimbal angle;   θ = 0 is upright

Source: T. Godden's Starship landing problem (article on Medium, 2020), with its numbers.

Differs from Myriad: flight below ground is priced. Myriad's targets are constraints of the optimiser. Here they are
priced at the end, and a miss is in units of the state's range.
"""

import math

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar


class RocketLanding(AbstractTask):
    states = (
        StateVar("x", 0.0, -250.0, 150.0, 0.0, "m", spread=10.0),
        StateVar("x velocity", 0.0, -250.0, 150.0, 0.0, "m/s", spread=2.0),
        StateVar("height", 1000.0, 0.0, 1000.0, 0.0, "m", spread=20.0),
        StateVar("climb", -80.0, -250.0, 150.0, 0.0, "m/s", spread=2.0),
        StateVar("angle", -math.pi / 2, -2 * math.pi, 2 * math.pi, 0.0, "rad", period=2 * math.pi, spread=0.1),
        StateVar("angular velocity", 0.0, -250.0, 150.0, 0.0, "rad/s", spread=0.02),
    )
    controls = (ControlVar("throttle", 0.4, 1.0), ControlVar("gimbal", -0.3490658, 0.3490658, "rad"))
    time_unit = "s"
    g: float = 9.8  # gravity, m/s2
    m: float = 1e5  # mass, kg
    l: float = 50.0  # length, m
    F: float = 2.21e6  # maximum thrust, N
    price_ground: float = 0.01  # price of a squared metre below ground, 1/s
    weight: float = 1e4  # price of missing a target by the whole range
    horizon: float = 16.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        _, vx, _, vy, angle, spin = x
        thrust = self.F * u[0]
        torque = -self.l / 2 * thrust * jnp.sin(u[1])
        ax, ay = thrust * jnp.sin(u[1] + angle) / self.m, thrust * jnp.cos(u[1] + angle) / self.m - self.g
        return jnp.stack([vx, ax, vy, ay, spin, torque / (self.m * self.l**2 / 12)])

    def running_cost(self, t, x, u):
        return u[0] ** 2 + u[1] ** 2 + 2 * x[5] ** 2 + self.price_ground * jnp.maximum(-x[2], 0) ** 2

    def terminal_cost(self, x):
        return self.weight * jnp.sum(self.misses(x) ** 2)
