"""Theorems about gradients through world models, checked on the package's models in float64.

They are statements of Ma, Ni, Gehring, D'Oro & Bacon, *Do Transformer World Models Give Better Policy Gradients?*, ICML
2024. test_world_models.py checks that no actions model looks ahead, test_methods.py that the parallel gradient is the
sequential one.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from reference_tasks import DoubleIntegrator

from baselines import METHODS
from baselines.abstract_models import AbstractActionsModel, unroll
from baselines.attention import normalise
from baselines.exploration import warm_up
from baselines.model_gradient import ModelGradient
from baselines.networks import policy_network
from baselines.normalisation import Scales
from baselines.policies import FeedbackPolicy, WithoutFeedbackGradient
from baselines.recurrent import AbstractCell, ActionsRecurrent, VanillaCell
from baselines.state_space import ActionsStateSpace, StateSpaceLayer
from baselines.world_models import ActionsTransformer, OneStep
from bench.simulate import open_loop, rollout, transition

pytestmark = pytest.mark.usefixtures("x64")

TASK = DoubleIntegrator()
MODELS = {name: made().model for name, made in METHODS.items() if isinstance(made(), ModelGradient)}


def scales(task=TASK):
    return Scales.of(task, warm_up(task, jr.key(0), 8).xs)


def controls(theta, steps):
    """u[s] = θ φ(s): a smooth open-loop policy whose Jacobian has a norm of at most √3."""
    tau = jnp.arange(steps) / steps
    return jnp.stack([jnp.ones(steps), jnp.cos(np.pi * tau), jnp.sin(np.pi * tau)], 1) @ theta


def policy_gradient(model, steps, theta):
    """∇_θ Σ_t r(x̂[t]) with r(x) = Σ_i tanh(x_i), through the model."""
    return jax.jit(jax.grad(lambda theta: jnp.sum(jnp.tanh(model(jnp.ones(2), controls(theta, steps))))))(theta)


class Composed(AbstractCell):
    """h' = h + σ_Δ g(h, u) / σ: a one-step model's update of a normalised state, as a recurrent cell."""

    one_step: OneStep

    def __init__(self, inputs, width, *, one_step, key):
        self.one_step = one_step

    def start(self, h):
        return h

    def __call__(self, u, h):
        s = self.one_step.scales
        h = h + s.increment_std * self.one_step.net(jnp.concatenate([h, u])) / s.std
        return h, h


class AsActionsModel(AbstractActionsModel):
    """x̂[t+1] = mean + σ h[t+1], h' = cell(u, h), h[0] from x[0]. It reads the first state and the controls alone."""

    scales: Scales
    cell: Composed
    increments: float = 0.0
    incremental: bool = False

    def __call__(self, x0, us):
        return unroll(self, x0, us)

    def residuals(self, xs, us):
        return self(xs[0], us) - xs[1:]

    def initial(self, x0, steps):
        return self.scales.state(x0)

    def advance(self, carry, u):
        h, read = self.cell(self.scales.control(u), carry)
        return h, self.scales.mean + self.scales.std * read


def test_a_one_step_model_unrolled_is_a_recurrent_actions_model():
    """States and policy gradients are the same: the two models differ only in what they are fitted to."""
    one_step = OneStep(scales(), key=jr.key(1))
    recurrent = AsActionsModel(scales(), Composed(1, 2, one_step=one_step, key=jr.key(1)))
    theta = jr.normal(jr.key(2), (3, 1))
    # 1e-11 is rounding over 30 compositions, each of which stretches by a few units.
    states = [jax.jit(model.__call__)(jnp.ones(2), controls(theta, 30)) for model in (one_step, recurrent)]
    np.testing.assert_allclose(*states, rtol=1e-11)
    np.testing.assert_allclose(*(policy_gradient(m, 30, theta) for m in (one_step, recurrent)), rtol=1e-11)


def fitted(name):
    """A model after one round of its method: warm-up episodes and a fit to them."""
    method = METHODS[name](warmup=4, model_updates=20, policy_updates=1)
    task = DoubleIntegrator(num_steps=12)
    state = jax.jit(lambda key: method.step(task, method.init(task, key), key))(jr.key(0))
    return jax.tree.map(lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf, state.model)


@pytest.mark.parametrize(
    ("name", "trained"), [*((name, False) for name in MODELS), ("awm_gru", True), ("one_step_model", True)]
)
def test_jacobians_of_the_model_bound_the_policy_gradient(name, trained):
    """‖∇_θ J‖ ≤ L_r L_π Σ_t Σ_{s<t} ‖∂x̂[t] / ∂u[s]‖ for rewards and policies of these Lipschitz constants."""
    model = fitted(name) if trained else MODELS[name](scales(), key=jr.key(1))
    steps, theta = 6, jr.normal(jr.key(2), (3, 1))

    @jax.jit
    def parts(us):
        predicted, pull = jax.vjp(lambda us: model(jnp.ones(2), us), us)
        rows = jax.vmap(pull)(jnp.eye(predicted.size).reshape(-1, *predicted.shape))[0]
        return predicted, rows.reshape(*predicted.shape, *us.shape)

    predicted, jacobian = parts(controls(theta, steps))  # of shape "steps n", "steps n steps m"
    norms = np.linalg.norm(np.moveaxis(jacobian, 2, 1), ord=2, axis=(2, 3))
    reward, policy = np.sqrt(2), np.sqrt(3)  # of Σ tanh over two states, and of `controls`
    found = policy_gradient(model, steps, theta)
    assert 0 < np.linalg.norm(found) <= reward * policy * norms.sum()
    # The chain rule with the same Jacobians gives the gradient itself and not a bound; 1e-9 is rounding.
    chained = np.einsum("tn,tnsm,sf->fm", 1 - np.tanh(predicted) ** 2, jacobian, controls(jnp.eye(3), steps))
    np.testing.assert_allclose(found, chained, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.2])
def test_recurrent_gradients_grow_or_vanish_with_the_spectral_norm(rate):
    """‖∂x̂[t] / ∂u[s]‖ ≤ ‖R‖ ‖W‖^(t-s) ‖V‖ for h' = tanh(W h + V u), x̂ = R h. With W / ρ orthogonal the Jacobian at
    h = 0 is R W^(t-s) V: a rate of ln ρ per step, for all times."""
    steps, width = 40, 6
    model = ActionsRecurrent(scales(), cell=VanillaCell, width=width, key=jr.key(1))
    W = rate * np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))[0]
    V = np.asarray(model.cell.layer.weight[:, :1])
    model = eqx.tree_at(
        lambda m: (m.cell.layer.weight, m.cell.layer.bias, m.start.bias, m.start.weight),
        model,
        (jnp.concatenate([V, W], 1), jnp.zeros(width), jnp.zeros(width), jnp.zeros_like(model.start.weight)),
    )
    R = model.scales.std[:, None] * model.read.weight
    middle = jnp.zeros((steps, 1))  # which is 0 for the network: h stays at 0

    @jax.jit
    def by_controls(us):
        return jax.jacrev(lambda us: model(jnp.ones(2), us)[-1])(us)[:, :, 0] * 3  # per control in [-1, 1]

    last = by_controls(middle)
    expected = [R @ np.linalg.matrix_power(W, steps - 1 - s) @ V for s in range(steps)]
    np.testing.assert_allclose(last, np.concatenate(expected, 1), rtol=1e-9, atol=1e-12)
    elsewhere = jr.uniform(jr.key(3), (steps, 1), minval=-3, maxval=3)
    last = by_controls(elsewhere)
    bound = np.linalg.norm(R, 2) * rate ** (steps - 1 - np.arange(steps)) * np.linalg.norm(V, 2)
    assert np.all(np.linalg.norm(last, axis=0) <= bound * (1 + 1e-12))


def shifts(rates, steps):
    """λ̄^(t-s) for s ≤ t, and 0 for later s: of shape "steps steps pairs"."""
    lag = np.arange(steps)[:, None] - np.arange(steps)
    return np.where(lag[..., None] >= 0, rates ** np.maximum(lag, 0)[..., None], 0)


def in_complex(layer):
    """b̄ B and C as complex matrices, and λ̄, written out from their definitions."""
    rate = -np.exp(layer.log_decay) + 1j * np.asarray(layer.frequency)
    bar = np.exp(rate * np.exp(layer.log_step))
    (B_re, B_im), (C_re, C_im) = np.split(layer.B.weight, 2, 0), np.split(layer.C.weight, 2, 1)
    return ((bar - 1) / rate)[:, None] * (B_re + 1j * B_im), (C_re - 1j * C_im) / 2, bar


def test_a_state_space_layers_jacobian_is_a_power_of_its_eigenvalues():
    """∂(2 Re C h[t]) / ∂v[s] = 2 Re(C λ̄^(t-s) b̄ B), so its norm is at most 2 ‖C‖ ‖b̄ B‖ max |λ̄|^(t-s); |λ̄| < 1 for all
    weights."""
    steps = 30
    layer = StateSpaceLayer(6, key=jr.key(1))
    layer = eqx.tree_at(lambda m: m.log_step, layer, layer.log_step + 3)  # memories of a few steps
    layer = eqx.tree_at(lambda m: (m.D, m.mix.bias), layer, replace_fn=jnp.zeros_like)
    layer = eqx.tree_at(lambda m: m.mix.weight, layer, jnp.eye(6))
    # At z = 0 `normalise` multiplies by 1 / √1e-5, GELU by ½, and the skip connection adds the identity.
    jacobian = jax.jit(jax.jacrev(layer.__call__))(jnp.zeros((steps, 6))) - np.einsum(
        "ts,ij->tisj", np.eye(steps), np.eye(6)
    )
    jacobian = np.moveaxis(np.asarray(jacobian), 2, 1) * 2 * np.sqrt(1e-5)
    B, C, bar = in_complex(layer)
    expected = 2 * np.einsum("ip,tsp,pj->tsij", C, shifts(bar, steps), B).real
    np.testing.assert_allclose(jacobian, expected, rtol=1e-9, atol=1e-12)  # rounding of 30 products
    norms = np.linalg.norm(jacobian, ord=2, axis=(2, 3))
    bound = 2 * np.linalg.norm(C, 2) * np.linalg.norm(B, 2) * shifts(np.abs(bar).max(keepdims=True), steps)[..., 0]
    assert np.all(norms <= bound * (1 + 1e-12))


def test_state_space_gradients_cannot_explode():
    """A layer has ‖∂z'[t] / ∂z[s]‖ ≤ N[t, s] = δ_ts + γ ‖M‖ (2 ‖C‖ ‖b̄ B‖ ρ^(t-s) + ‖D‖ δ_ts) N_v[s], with γ the largest
    derivative of GELU, ρ = max |λ̄| < 1 and N_v the norm of the Jacobian of `normalise`. So ‖∂x̂[t] / ∂u[s]‖ is at most
    ‖σ W‖ N_v[t] (N_L ... N_1)[t, s] ‖E‖: ρ^(t-s) times a polynomial in t - s, for all weights and controls."""
    steps, gelu = 24, 1.13  # GELU is steepest near √2
    drawn = ActionsStateSpace(scales(), width=6, key=jr.key(1))
    us = jr.uniform(jr.key(3), (steps, 1), minval=-3, maxval=3)

    @eqx.filter_jit
    def along(model):
        zs = [jax.vmap(lambda u: model.net.embed(model.scales.pair(jnp.ones(2), u)))(us)]
        for layer in model.net.layers:
            zs.append(layer(zs[-1]))
        by_controls = jax.jacrev(lambda us: model(jnp.ones(2), us))(us)[..., 0] * 3  # per control in [-1, 1]
        return jnp.stack([jax.vmap(jax.jacrev(normalise))(z) for z in zs]), by_controls

    for scale in (1, 3, -3):
        model = jax.tree.map(lambda w, s=scale: s * w if eqx.is_inexact_array(w) else w, drawn)
        model = eqx.tree_at(lambda m: m.scales, model, drawn.scales)
        of_normalise, by_controls = along(model)
        *slopes, last_slope = np.linalg.norm(of_normalise, ord=2, axis=(2, 3))
        bound = np.linalg.norm(model.net.embed.weight[:, -1]) * np.eye(steps)
        for layer, slope in zip(model.net.layers, slopes, strict=True):
            B, C, bar = in_complex(layer)
            assert np.all(np.abs(bar) < 1)
            powers = shifts(np.abs(bar).max(keepdims=True), steps)[..., 0]
            within = 2 * np.linalg.norm(C, 2) * np.linalg.norm(B, 2) * powers + np.abs(layer.D).max() * np.eye(steps)
            bound = (np.eye(steps) + gelu * np.linalg.norm(layer.mix.weight, 2) * within * slope) @ bound
        out = np.linalg.norm(model.scales.std[:, None] * model.net.read.weight, 2)
        norms = np.linalg.norm(np.moveaxis(by_controls, 2, 1), axis=2)
        assert np.all(norms <= out * last_slope[:, None] * bound * (1 + 1e-12))


def test_self_attention_gradients_grow_at_most_cubically_and_recurrent_ones_need_not():
    """‖∇_θ J‖ = O(H³) for a causal transformer over the controls; the exponent between H and 2 H is its measure. The
    theorem holds for all weights: they are drawn larger than at the start of training, so that attention is sharp."""
    theta = jr.normal(jr.key(2), (3, 1))
    horizons = (16, 32, 64)

    def exponents(model):
        norms = [np.linalg.norm(policy_gradient(model, H, theta)) for H in horizons]
        return np.diff(np.log2(norms))

    model = ActionsTransformer(scales(), width=16, key=jr.key(1))
    model = jax.tree.map(lambda w: 3 * w if eqx.is_inexact_array(w) else w, model)
    assert np.all(exponents(model) < 3)
    cell = partial(ActionsRecurrent, cell=VanillaCell, width=6)
    model = cell(scales(), key=jr.key(1))
    W = 1.3 * np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    weight = jnp.concatenate([1e-9 * model.cell.layer.weight[:, :1], W], 1)  # so small that tanh does not saturate
    zero = jax.tree.map(jnp.zeros_like, (model.start, model.cell.layer.bias))
    model = eqx.tree_at(lambda m: (m.cell.layer.weight, m.start, m.cell.layer.bias), model, (weight, *zero))
    assert exponents(model)[-1] > 6  # 1.3^32 between 32 and 64


def test_cutting_the_states_that_a_policy_reads_removes_exactly_the_feedback():
    """With u = π_θ(t, x): cut, ∇J = Σ_t (∂π/∂θ)ᵀ ∂J/∂u[t] at fixed states; in full, the adjoint also takes ∂π/∂x."""
    net = jax.tree.map(lambda w: w / 2, policy_network(TASK, 8, 1, key=jr.key(1)))  # inside the bounds throughout

    def policy(net):
        return FeedbackPolicy(TASK, scales(), net)

    def gradient(wrap):
        return jax.jit(jax.grad(lambda net: rollout(TASK, wrap(policy(net)), TASK.x0).cost))(net)

    episode = jax.jit(lambda net: rollout(TASK, policy(net), TASK.x0))(net)
    assert np.abs(episode.us).max() < 3
    ts = TASK.dt * np.arange(TASK.num_steps)

    def control(net, t, x):
        return policy(net).control(t, x)

    along = jax.jit(jax.vmap(jax.jacrev(control, argnums=(0, 2)), in_axes=(None, 0, 0)))(net, ts, episode.xs[:-1])
    by_net, by_state = along

    def step(x, u, t):
        return transition(TASK, t, x, u)

    (A, B), (q, r) = jax.jit(jax.vmap(jax.jacrev(step, argnums=(0, 1))))(episode.xs[:-1], episode.us, ts)
    adjoint = jax.grad(TASK.terminal_cost)(episode.xs[-1])
    open_adjoint, through, at_fixed = adjoint, [], []
    for k in reversed(range(TASK.num_steps)):
        through.append(r[k] + adjoint @ B[k])
        at_fixed.append(r[k] + open_adjoint @ B[k])
        adjoint = q[k] + adjoint @ A[k] + through[-1] @ by_state[k]
        open_adjoint = q[k] + open_adjoint @ A[k]
    np.testing.assert_allclose(
        np.stack(at_fixed[::-1]),
        jax.jit(jax.grad(lambda us: open_loop(TASK, us, TASK.x0).cost))(episode.us),
        rtol=1e-10,
    )
    for wrap, by_control in ((WithoutFeedbackGradient, at_fixed), (lambda p: p, through)):
        weights = jnp.stack(by_control[::-1])
        expected = jax.tree.map(lambda j, w=weights: jnp.einsum("tm,tm...->...", w, j), by_net)
        for found, wanted in zip(jax.tree.leaves(gradient(wrap)), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
