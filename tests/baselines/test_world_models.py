"""World models and attention in float64: causality, parallel against sequential, cached against recomputed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from baselines import METHODS, causal_attention
from baselines.abstract_models import unroll
from baselines.attention import CausalTransformer, normalise
from baselines.exploration import warmup_episode
from baselines.model_gradient import ModelGradient
from baselines.networks import MLP, both_ways
from baselines.normalisation import Scales
from baselines.recurrent import ActionsRecurrent
from baselines.state_space import ActionsStateSpace, hippo_frequencies
from baselines.world_models import ActionsTransformer, HistoryTransformer, OneStep
from bench import registry
from bench.suite import load
from tasks import TASKS

pytestmark = pytest.mark.usefixtures("x64")

MODELS = {name: made.model for name, made in ((n, m()) for n, m in METHODS.items()) if isinstance(made, ModelGradient)}
STEPS = 12
ROUNDING = 1e-10  # float64, some hundred operations deep


@pytest.fixture
def task():
    return TASKS["bear_populations"](num_steps=STEPS)  # three states, two controls


@pytest.fixture
def episode(task):
    return warmup_episode(task, jr.key(0))


@pytest.fixture(params=MODELS)
def model(request, task, episode):
    made = MODELS[request.param](Scales.of(task, episode.xs[None]), key=jr.key(1))
    # Weights larger than at the start of training, so that a small read-out hides no error.
    return jax.tree.map(lambda w: 2 * w if eqx.is_inexact_array(w) else w, made)


@pytest.mark.parametrize(
    ("awm", "history"),
    [
        ("awm_transformer", "history_model[model.expansion=1]"),
        ("awm_transformer[model.expansion=4]", "history_model"),
    ],
)
def test_the_suite_of_ablations_has_transformers_of_equal_sizes(awm, history, task, episode):
    def parameters(label):
        (cell,) = load("ablations").cells(tasks=["harvest"], methods=[label])
        method = registry.method(cell.method, {**cell.method_settings, **cell.extra_method_settings})
        scales = Scales.of(task, episode.xs[None])
        net = eqx.filter_eval_shape(lambda key: method.model(scales, key=key).net, jr.key(0))
        return sum(leaf.size for leaf in jax.tree.leaves(net))

    assert {awm, history} <= {*load("ablations").methods}
    assert parameters(awm) == parameters(history)
    assert parameters("awm_transformer") < parameters("history_model")


def test_no_prediction_depends_on_a_later_control(model, episode):
    jacobian = jax.jacrev(lambda us: model(episode.xs[0], us))(episode.us)  # steps n steps m
    for t in range(STEPS):
        assert np.all(jacobian[t, :, t + 1 :] == 0)
        assert np.any(jacobian[t, :, t] != 0)
        assert np.any(jacobian[t, :, 0] != 0)


def test_decoding_one_by_one_gives_the_same_states_and_gradients(model, episode):
    x0, us = episode.xs[0], episode.us
    np.testing.assert_allclose(model(x0, us), unroll(model, x0, us), rtol=ROUNDING)
    weight = jr.normal(jr.key(2), episode.xs[1:].shape)

    def gradients(predict):
        return jax.jit(jax.grad(lambda inputs: jnp.sum(weight * predict(*inputs))))((model, x0, us))

    both = map(jax.tree.leaves, (gradients(lambda model, x0, us: model(x0, us)), gradients(unroll)))
    for found, expected in zip(*both, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=ROUNDING * np.abs(expected).max())


def test_residuals_are_those_of_the_predictions(model, episode):
    """A model's residuals vanish on a trajectory that the model made: teacher forcing equals unrolling."""
    xs = jnp.concatenate([episode.xs[:1], model(episode.xs[0], episode.us)])
    np.testing.assert_allclose(model.residuals(xs, episode.us), 0, atol=1e-9)  # differences of close numbers
    assert np.abs(model.residuals(episode.xs, episode.us)).max() > 1e-3


def test_cutting_predictions_changes_the_gradient_and_not_the_states(task, episode):
    scales = Scales.of(task, episode.xs[None])
    full, cut = (HistoryTransformer(scales, cut_predictions=cut, key=jr.key(1)) for cut in (False, True))
    np.testing.assert_array_equal(full(episode.xs[0], episode.us), cut(episode.xs[0], episode.us))
    last = [jax.grad(lambda us, m=m: m(episode.xs[0], us)[-1].sum())(episode.us) for m in (full, cut)]
    assert np.abs(last[0] - last[1]).max() > 1e-6
    # The last control reaches the last state only directly, so its gradient is not cut.
    np.testing.assert_allclose(last[0][-1], last[1][-1], rtol=ROUNDING)


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("make", [ActionsTransformer, ActionsRecurrent, ActionsStateSpace, HistoryTransformer, OneStep])
def test_an_incremental_model_adds_to_the_last_state_and_an_absolute_one_does_not(make, incremental, task, episode):
    """All weights 0 but the last bias, which is 1: every output of the network is 1."""
    scales = Scales.of(task, episode.xs[None])
    made = make(scales, incremental=incremental, key=jr.key(1))
    *leaves, bias = jax.tree.leaves(made)
    ones = jax.tree.unflatten(jax.tree.structure(made), [*map(jnp.zeros_like, leaves), jnp.ones_like(bias)])
    model = eqx.tree_at(lambda m: m.scales, ones, scales)
    x0 = episode.xs[0]
    if incremental:
        expected = x0 + jnp.arange(1, STEPS + 1)[:, None] * scales.increment_std
    else:
        start = scales.mean if make in (HistoryTransformer, OneStep) else x0
        expected = jnp.broadcast_to(start + scales.std, (STEPS, 3))
    np.testing.assert_allclose(model(x0, episode.us), expected, rtol=ROUNDING)
    np.testing.assert_allclose(unroll(model, x0, episode.us), expected, rtol=ROUNDING)
    own = jnp.concatenate([x0[None], expected])
    np.testing.assert_allclose(model.residuals(own, episode.us), 0, atol=1e-9)  # differences of close numbers


def test_depth_width_and_heads_are_settings():
    scales = Scales.of(TASKS["harvest"](), jnp.zeros((1, 2, 1)))
    settings = {"model.depth": "3", "model.width": "24", "model.heads": "4"}
    for name in ("awm_transformer", "history_model"):
        net = registry.method(name, settings).model(scales, key=jr.key(0)).net
        assert (len(net.blocks), net.blocks[0].heads, net.read.weight.shape[1]) == (3, 4, 24)
    mlp = registry.method("one_step_model", {"model.depth": "3", "model.width": "24"}).model(scales, key=jr.key(0)).net
    assert [len(layer.weight) for layer in mlp.layers] == [24, 24, 24, 1]
    cell = registry.method("awm_gru", {"model.width": "24"}).model(scales, key=jr.key(0)).cell
    assert cell.cell.hidden_size == 24
    layers = registry.method("awm_s5", {"model.depth": "3", "model.width": "5"}).model(scales, key=jr.key(0)).net.layers
    assert [(len(layer.D), len(layer.frequency)) for layer in layers] == [(5, 3)] * 3  # pairs of states, rounded up


def test_a_one_step_models_gradient_is_the_product_of_its_jacobians(task, episode):
    model = OneStep(Scales.of(task, episode.xs[None]), key=jr.key(1))
    x0, us = episode.xs[0], episode.us
    xs = jnp.concatenate([x0[None], model(x0, us)])

    def step(x, u):
        return model.advance(x, u)[1]

    adjoint = jnp.ones_like(x0)
    expected = []
    for x, u in zip(xs[-2::-1], us[::-1], strict=True):
        by_x, by_u = jax.jacrev(step, argnums=(0, 1))(x, u)
        expected.append(adjoint @ by_u)
        adjoint = adjoint @ by_x
    found = jax.grad(lambda us: model(x0, us)[-1].sum())(us)
    np.testing.assert_allclose(found, jnp.stack(expected[::-1]), rtol=1e-9)


def test_scales_are_statistics_of_the_weighted_trajectories(task):
    xs = jnp.stack([warmup_episode(task, jr.key(i)).xs for i in range(3)])
    scales = Scales.of(task, xs.at[2].set(1e9), jnp.array([1.0, 1.0, 0.0]))  # unused rows count nothing
    np.testing.assert_allclose(scales.mean, xs[:2].mean((0, 1)), rtol=ROUNDING)
    np.testing.assert_allclose(scales.std, xs[:2].std((0, 1)), rtol=1e-8)
    np.testing.assert_allclose(scales.increment_std, np.diff(xs[:2], axis=1).std((0, 1)), rtol=1e-8)
    alike = Scales.of(task, xs, jnp.ones(3))
    jax.tree.map(np.testing.assert_array_equal, Scales.of(task, xs), alike)
    constant = Scales.of(task, jnp.full((1, 5, 3), 7.0))
    assert np.all(np.isfinite(constant.state(jnp.full(3, 7.0))))


def test_a_state_space_layer_starts_with_the_eigenvalues_of_hippo():
    """HiPPO-LegS plus P Pᵀ is normal, with eigenvalues in conjugate pairs."""
    n = np.arange(8)
    normal = np.outer(P := np.sqrt(n + 0.5), P) - np.tril(2 * np.outer(P, P), -1) - np.diag(n + 1)
    eigenvalues = np.linalg.eigvals(normal)
    np.testing.assert_allclose(eigenvalues.real, -0.5, rtol=ROUNDING)
    np.testing.assert_allclose(hippo_frequencies(8), np.sort(eigenvalues.imag)[4:], rtol=ROUNDING)


@pytest.mark.parametrize("block_length", [128, 2])
def test_attention_is_textbook_attention(block_length, monkeypatch):
    """One block equals softmax(Q Kᵀ / √d) V written out per position and head, with queries at once or in blocks."""
    monkeypatch.setattr(causal_attention, "BLOCK_LENGTH", block_length)
    monkeypatch.setattr(causal_attention, "QUERIES", block_length)
    net = CausalTransformer(3, 2, width=8, depth=1, heads=2, key=jr.key(0))
    tokens = jr.normal(jr.key(1), (5, 3))
    block = net.blocks[0]
    z = jax.vmap(net.begin)(tokens, jnp.arange(5)[:, None])
    q, k, v = (np.asarray(block.project(z)[:, i]) for i in range(3))
    mixed = np.zeros((5, 2, 4))
    for t in range(5):
        for head in range(2):
            logits = k[: t + 1, head] @ q[t, head] / 2.0  # head size 4
            weights = np.exp(logits) / np.exp(logits).sum()
            mixed[t, head] = weights @ v[: t + 1, head]
    expected = jax.vmap(lambda zt, mt: net.end(block.finish(zt, mt)))(z, jnp.asarray(mixed))
    np.testing.assert_allclose(net(tokens), expected, rtol=ROUNDING)


def test_attention_in_blocks_has_the_same_gradient(monkeypatch):
    """Heads and samples go through in turn, alone and in a batch."""
    net, batch = CausalTransformer(3, 2, width=8, depth=2, heads=2, key=jr.key(0)), jr.normal(jr.key(1), (2, 5, 3))

    def loss(tokens):
        return jnp.sum(net(tokens) ** 2)

    def gradients(batch):
        together = jax.grad(lambda batch: jnp.sum(jax.vmap(loss)(batch)))(batch)
        return jax.grad(loss)(batch[1]), jax.vmap(jax.grad(loss))(batch), together

    expected = gradients(batch)
    monkeypatch.setattr(causal_attention, "BLOCK_LENGTH", 2)
    monkeypatch.setattr(causal_attention, "QUERIES", 2)
    for found, right in zip(jax.jit(gradients)(batch), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-8)  # float64, sums in another order


def test_the_norm_equals_equinox_rms_norm():
    z = jr.normal(jr.key(0), (3, 6))
    library = eqx.nn.RMSNorm(6, use_weight=False, use_bias=False)
    np.testing.assert_allclose(normalise(z), jax.vmap(library)(z), rtol=ROUNDING)


def test_a_net_with_its_weights_both_ways_is_the_same_function():
    net, x = MLP((3, 5, 2), key=jr.key(0)), jr.normal(jr.key(1), (4, 3))

    def loss(net, x):
        return jnp.sum(jax.vmap(net)(x) ** 3)

    by_net, by_x = jax.grad(lambda inputs: loss(*inputs))((net, x))
    ready_by_net, ready_by_x = jax.grad(lambda inputs: loss(*inputs))((both_ways(net), x))
    np.testing.assert_allclose(loss(both_ways(net), x), loss(net, x), rtol=ROUNDING)
    np.testing.assert_allclose(ready_by_x, by_x, rtol=ROUNDING)
    for layer, ready in zip(by_net.layers, ready_by_net.layers, strict=True):
        np.testing.assert_allclose(ready.weight, layer.weight, rtol=ROUNDING)
        np.testing.assert_allclose(ready.bias, layer.bias, rtol=ROUNDING)
