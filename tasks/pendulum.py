"""Pendulum: a torque u that is too weak to lift a pendulum directly swings it upright; θ is the angle from hanging.

    min  ∫₀ᵀ wrap(θ - π)² + 0.1 θ'² + 0.001 u² dt + w Σ miss²,   targets θ = π, θ' = 0 at T = 15 s      |u| <= 2 N m
    θ'' = -3 g / (2 l) sin θ + 3 u / (m l²)      θ(0) = θ'(0) = 0

Source: Brockman et al., *OpenAI Gym* (2016), Pendulum; Amos et al., *Differentiable MPC* (2018). wrap: into [-π, π).

Differs from Myriad: the acceleration has no factor 0.05 (a time step). The angle is priced from the upright goal, not
from hanging, where doing nothing is free. A speed above 8 rad/s is not cut to 8 in θ': a cut breaks the energy balance,
and good controls never get there. Myriad's targets are constraints of the optimiser. Here they are priced at the end.
"""

import math

import jax.numpy as jnp

from tasks.base import AbstractTask, ControlVar, StateVar, wrap


class Pendulum(AbstractTask):
    states = (
        StateVar("angle", 0.0, -math.pi, math.pi, math.pi, "rad", period=2 * math.pi, spread=0.1),
        StateVar("angular velocity", 0.0, -8.0, 8.0, 0.0, "rad/s", spread=0.1),
    )
    controls = (ControlVar("torque", -2.0, 2.0, "N m"),)
    time_unit = "s"
    g: float = 10.0  # gravity, m/s2
    m: float = 1.0  # mass, kg
    l: float = 1.0  # length, m
    price_speed: float = 0.1  # price of the squared angular velocity
    price_torque: float = 0.001  # price of the squared torque
    weight: float = 100.0  # price of missing a target by the whole range
    horizon: float = 15.0
    num_steps: int = 100
    solver: str = "tsit5"
    substeps: int = 16

    def vector_field(self, t, x, u):
        angle, spin = x
        acceleration = -3 * self.g / (2 * self.l) * jnp.sin(angle) + 3 * u[0] / (self.m * self.l**2)
        return jnp.stack([spin, acceleration])

    def running_cost(self, t, x, u):
        return wrap(x[0] - math.pi) ** 2 + self.price_speed * x[1] ** 2 + self.price_torque * u[0] ** 2

    def terminal_cost(self, x):
        return self.weight * jnp.sum(self.misses(x) ** 2)
