"""State-space actions world model: x̂[t+1] = x[0] + σ W z_L[t], z_0[t] = E (x[0], u[t]), z_l = a layer over all times.

A layer is a diagonal linear recurrence (S5: Smith, Warrington & Linderman, ICLR 2023), with v[t] the normalised z[t]:

    h[t] = λ̄ h[t-1] + b̄ B v[t]          λ̄ = exp(λ Δ),  b̄ = (λ̄ - 1) / λ,  Re λ < 0
    z'[t] = z[t] + M gelu(2 Re(C h[t]) + D v[t])

h, λ, B and C are complex and stand for conjugate pairs; λ and Δ have an entry for each pair, and products with λ̄, b̄ and
D are elementwise. λ̄ and b̄ are the exact solution of dh/dt = λ h + B v over a step Δ with v held (zero-order hold).

Start, as in the paper: λ are eigenvalues of HiPPO-N matrices of 8 states, all with the real part -½; Δ is log-uniform
in [.001, .1]; B, C and D have the paper's variances. There are as many real states as the layer is wide. The paper's
gate after the GELU is left out: M gelu(.) has a bounded Jacobian, and so the bound below holds.

A parallel scan computes all times at once; decoding costs the same at every step. Through a layer, a late output
depends on an early input by 2 Re(C λ̄^(t-s) b̄ B): it shrinks as max |λ̄|^(t-s) and cannot explode. Through L layers the
bound is this times a polynomial in t - s of degree L - 1.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Complex, Float, Key

from baselines.abstract_models import AbstractActionsSequence
from baselines.attention import normalise
from baselines.networks import Linear, scaled
from baselines.normalisation import Scales
from bench.settings import Depth, NotNegative, Width

BLOCK_STATES = 8  # of a HiPPO-N matrix; with more, the highest frequencies turn by more than π in a long step
MIN_STEP, MAX_STEP = 1e-3, 1e-1


def hippo_frequencies(states: int) -> np.ndarray:
    """Return the positive imaginary parts of the eigenvalues of the normal part of a HiPPO-LegS matrix.

    That part is -½ I plus the antisymmetric matrix with -√((n + ½) (k + ½)) below the diagonal (Gu et al., 2022).
    """
    root = np.sqrt(np.arange(states) + 0.5)
    below = np.tril(np.outer(root, root), -1)
    return np.linalg.eigvalsh(1j * (below.T - below))[states // 2 :]


class StateSpaceLayer(eqx.Module):
    """A layer of the recurrence above. B and C are real matrices from and to the parts (Re h, Im h)."""

    log_decay: Float[Array, " pairs"]  # of -Re λ
    frequency: Float[Array, " pairs"]  # Im λ
    log_step: Float[Array, " pairs"]
    B: Linear
    C: Linear  # [2 Re C, -2 Im C]
    D: Float[Array, " width"]
    mix: Linear

    def __init__(self, width: int, *, key: Key[Array, ""]):
        keys = jr.split(key, 5)
        pairs = (width + 1) // 2
        self.log_decay = jnp.full(pairs, math.log(0.5))
        self.frequency = jnp.asarray(np.resize(hippo_frequencies(BLOCK_STATES), pairs), self.log_decay.dtype)
        self.log_step = jr.uniform(keys[0], (pairs,), minval=math.log(MIN_STEP), maxval=math.log(MAX_STEP))
        # Eigenvectors are unitary: in their basis a real Gaussian B of variance 1 / width has parts of half of that.
        # `Linear` starts with a variance of 1 / 3 over its inputs.
        self.B = scaled(Linear(width, 2 * pairs, use_bias=False, key=keys[1]), math.sqrt(3 / 2))
        self.C = scaled(Linear(2 * pairs, width, use_bias=False, key=keys[2]), 2 * math.sqrt(3 / 2))
        self.D = jr.normal(keys[3], (width,))
        self.mix = Linear(width, width, key=keys[4])

    def __call__(self, z: Float[Array, "steps width"]) -> Float[Array, "steps width"]:
        v = normalise(z)
        multiplier, inputs = self.discretise(v)

        def compose(first, second):
            return first[0] * second[0], second[0] * first[1] + second[1]

        elements = (jnp.broadcast_to(multiplier, inputs.shape), inputs)
        return self.finish(z, v, jax.lax.associative_scan(compose, elements)[1])

    def step(
        self, z: Float[Array, " width"], h: Complex[Array, " pairs"]
    ) -> tuple[Float[Array, " width"], Complex[Array, " pairs"]]:
        """Return the layer's output for the next token, and the next state."""
        v = normalise(z)
        multiplier, inputs = self.discretise(v)
        h = multiplier * h + inputs
        return self.finish(z, v, h), h

    def discretise(
        self, v: Float[Array, "*steps width"]
    ) -> tuple[Complex[Array, " pairs"], Complex[Array, "*steps pairs"]]:
        """Return λ̄ and b̄ B v."""
        rate = jax.lax.complex(-jnp.exp(self.log_decay), self.frequency)
        multiplier = jnp.exp(rate * jnp.exp(self.log_step))
        return multiplier, (multiplier - 1) / rate * jax.lax.complex(*jnp.split(self.B(v), 2, -1))

    def finish(
        self, z: Float[Array, "*steps width"], v: Float[Array, "*steps width"], h: Complex[Array, "*steps pairs"]
    ) -> Float[Array, "*steps width"]:
        """Return the layer's output from its input, the normalised input and the states."""
        y = self.C(jnp.concatenate([h.real, h.imag], -1)) + self.D * v
        return z + self.mix(jax.nn.gelu(y))


class StateSpaceNet(eqx.Module):
    """Layers between a linear embedding and a linear read-out that starts small."""

    embed: Linear
    layers: tuple[StateSpaceLayer, ...]
    read: Linear

    def __init__(self, inputs: int, outputs: int, width: int, depth: int, *, key: Key[Array, ""]):
        keys = jr.split(key, depth + 2)
        self.embed = Linear(inputs, width, key=keys[0])
        self.layers = tuple(StateSpaceLayer(width, key=k) for k in keys[1:-1])
        self.read = scaled(Linear(width, outputs, key=keys[-1]), 0.1)

    def __call__(self, tokens: Float[Array, "steps inputs"]) -> Float[Array, "steps outputs"]:
        z = self.embed(tokens)
        for layer in self.layers:
            z = layer(z)
        return self.read(normalise(z))

    def initial(self, steps: int) -> tuple:
        """Return the layers' states before the first token: 0."""
        return tuple(jax.lax.complex(h, h) for h in (jnp.zeros_like(layer.log_step) for layer in self.layers))

    def step(self, carry: tuple, token: Float[Array, " inputs"]) -> tuple[tuple, Float[Array, " outputs"]]:
        """Return the next states and the output."""
        z = self.embed(token)
        states = []
        for layer, h in zip(self.layers, carry, strict=True):
            z, h = layer.step(z, h)
            states.append(h)
        return tuple(states), self.read(normalise(z))


class ActionsStateSpace(AbstractActionsSequence):
    """AWM: layers of diagonal linear recurrences over the controls, each token joined by the first state."""

    scales: Scales
    net: StateSpaceNet
    increments: NotNegative = eqx.field(static=True)
    incremental: bool = eqx.field(static=True)

    def __init__(
        self,
        scales: Scales,
        *,
        width: Width = 64,
        depth: Depth = 2,
        increments: NotNegative = 1.0,
        incremental: bool = False,
        key: Key[Array, ""],
    ):
        n, m = len(scales.mean), len(scales.low)
        self.scales, self.net = scales, StateSpaceNet(n + m, n, width, depth, key=key)
        self.increments, self.incremental = increments, incremental
