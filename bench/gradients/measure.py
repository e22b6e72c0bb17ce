"""Gradients through models that were fitted to the same episodes, against the true gradient, at one policy.

The true gradient is that of the simulator in float64, at the very controls and states at which the models, in float32
as in training, are differentiated; it is checked against finite differences. Episodes are of the policy itself, from
drawn starts; minibatches are of the newest collected episodes, whose states the policy reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from bench import registry
from bench.analysis.stats import Floats
from bench.gradients import differentiate, metrics, snapshots
from bench.gradients.metrics import POLICY_EPISODES
from bench.gradients.records import SIMULATOR, Measurement
from bench.gradients.snapshots import Snapshot
from bench.machine import compilation
from bench.machine.provenance import provenance
from bench.method import AbstractModelMethod, Model
from bench.records.reference import References
from bench.reference import difficulty
from bench.reference.lookup import lookup
from tasks.base import AbstractTask

STEP = 1e-6  # of finite differences, in units of the controls


@dataclass(frozen=True)
class Request:
    """What is measured at one snapshot: `updates` are the lengths of training, in steps of the models' optimiser."""

    suite: str
    snapshot: Path
    policy: str
    models: tuple[str, ...]
    horizons: tuple[int, ...]
    updates: tuple[int, ...]


def measure(request: Request, references: References) -> list[Measurement]:
    """One measurement per model and length of training, and one of the simulator."""
    compilation.enable_cache()
    found = snapshots.read_snapshot(request.snapshot)
    truth = _Truth.of(found, request.horizons)
    exponent = lyapunov(found.task, references)
    measured = [_record(request, found, exponent, SIMULATOR, 0, truth.own())]
    for name in request.models:
        for updates, numbers in _of_model(found, truth, name, request.updates):
            measured.append(_record(request, found, exponent, name, updates, numbers))
    return measured


@dataclass(frozen=True)
class _Truth:
    """The episodes (first those of the policy, then collected ones) and the true gradients at them.

    `by_parameters` is "episodes heads parameters"; the last head is the last cost.
    """

    snapshot: Snapshot
    heads: differentiate.Heads
    xs: Any
    us: Any
    read: Any  # the states that the policy reads
    by_controls: Floats
    by_parameters: Floats
    finite_differences: Floats  # relative error per horizon: the median over the policy's episodes
    horizons: tuple[int, ...]

    @classmethod
    def of(cls, found: Snapshot, horizons: tuple[int, ...]) -> "_Truth":
        task, method, state = found.task, found.method, found.state
        heads = differentiate.heads(task.num_steps, horizons)
        x0s = jax.vmap(task.sample_start)(jr.split(jr.key(found.seed), POLICY_EPISODES))
        read, us = eqx.filter_jit(jax.vmap(partial(differentiate.on_policy, task, method, state)))(x0s)
        collected, _ = method.newest(state, POLICY_EPISODES)
        us = jnp.concatenate(
            [us, eqx.filter_jit(jax.vmap(partial(differentiate.controls, task, method, state)))(collected)]
        )
        read = jnp.concatenate([read, collected])
        with jax.enable_x64(True):
            x0s, exact = (jnp.asarray(np.asarray(leaf), jnp.float64) for leaf in (read[:, 0], us))
            keys = jr.split(jr.key(1), len(us))
            found_exactly = eqx.filter_jit(jax.vmap(partial(_exact, task, heads)))(x0s, exact, keys)
            xs, gradients, errors = (np.asarray(each) for each in found_exactly)
        pulled = _pull(found)(read, jnp.asarray(gradients, jnp.float32))
        return cls(
            found,
            heads,
            jnp.asarray(xs, jnp.float32),
            us,
            read,
            gradients,
            np.asarray(pulled, float),
            np.median(errors[:POLICY_EPISODES, :-1], axis=0),
            horizons,
        )

    def own(self) -> dict[str, Any]:
        return metrics.gradient_metrics(self.by_controls, self.by_parameters, self.by_parameters, self.horizons) | {
            "finite_difference_error": metrics.finite_or_none(self.finite_differences),
            "fit_error": 0.0,
        }


def _exact(task, heads, x0, us, key):
    """True states, gradients, and the error of the gradients along a direction against finite differences."""
    path = differentiate.simulator(task, x0)
    gradients = differentiate.by_controls(task, path, us, heads)
    direction = jr.normal(key, us.shape) * differentiate.is_inside(task, us, 10 * STEP)
    differences = differentiate.finite_differences(task, path, us, heads, direction, STEP)
    along = jnp.sum(gradients * direction, axis=(1, 2))
    return path(us)[0], gradients, jnp.abs(along - differences) / (jnp.abs(differences) + 1e-12)


def _pull(found: Snapshot):
    return eqx.filter_jit(jax.vmap(partial(differentiate.by_parameters, found.task, found.method, found.state)))


def _of_model(
    found: Snapshot, truth: _Truth, name: str, lengths: tuple[int, ...]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The numbers of a model at each length of training."""
    method = registry.method(name)
    if not isinstance(method, AbstractModelMethod):
        raise registry.SettingError(f"'{name}' fits no world model. Give methods that do.")
    task, episodes = found.task, found.method.collected(found.state)
    begin_key, fit_key = jr.split(jr.key(found.seed))
    fit, advance = method.begin_fit(task, episodes, begin_key), eqx.filter_jit(method.fit)
    cut = method.without_circuitous_paths()
    pull, gradient = _pull(found), eqx.filter_jit(jax.vmap(partial(_of_predictions, task), in_axes=(None, 0, 0, None)))

    def by_both(model: Model) -> tuple[Floats, Floats]:
        by_controls = gradient(model, truth.xs, truth.us, truth.heads)
        return np.asarray(by_controls, float), np.asarray(pull(truth.read, by_controls), float)

    rounds = 0
    for length in sorted(lengths):
        while rounds * method.updates_per_fit < length:
            fit = advance(fit, episodes, jr.fold_in(fit_key, rounds))
            rounds += 1
        by_controls, by_parameters = by_both(fit.model)
        numbers = metrics.gradient_metrics(by_controls, by_parameters, truth.by_parameters, truth.horizons)
        numbers["fit_error"] = fit_error(fit.model, truth.xs[:POLICY_EPISODES], truth.us[:POLICY_EPISODES])
        if cut is not None:
            blind = cut.begin_fit(task, episodes, begin_key).model
            _, direct = by_both(differentiate.same_weights(fit.model, blind))
            numbers |= metrics.path_shares(by_parameters, direct, truth.by_parameters)
        yield rounds * method.updates_per_fit, numbers


def _of_predictions(task, model, xs, us, heads):
    return differentiate.by_controls(task, differentiate.predicted(task, model, xs, us), us, heads)


def fit_error(model: Model, xs: Any, us: Any) -> float:
    """Mean squared error of the states predicted over the whole horizon, each in units of its variance over the
    episodes "batch knots n", which are not among those that the model was fitted to."""
    unrolled = np.asarray(eqx.filter_jit(jax.vmap(lambda m, x, u: m(x, u), in_axes=(None, 0, 0)))(model, xs[:, 0], us))
    spread = np.maximum(np.std(np.asarray(xs), axis=(0, 1)), 1e-6)
    return float(np.mean(((unrolled - np.asarray(xs)[:, 1:]) / spread) ** 2))


def _record(
    request: Request, found: Snapshot, exponent: float, model: str, updates: int, numbers: dict[str, Any]
) -> Measurement:
    return Measurement(
        suite=request.suite,
        task=found.task_name,
        horizon=float(found.task.horizon),
        num_steps=found.task.num_steps,
        method=found.method_name,
        policy=request.policy,
        model=model,
        updates=updates,
        seed=found.seed,
        lyapunov=exponent,
        horizons=list(request.horizons),
        numbers=numbers,
        fingerprint=found.fingerprint,
        provenance=provenance(),
    )


def lyapunov(task: AbstractTask, references: References) -> float:
    """The finite-time exponent times the horizon: stored, or measured now."""
    try:
        stored = lookup(task, references).lyapunov
    except LookupError:
        stored = None
    return difficulty.lyapunov(task) if stored is None else stored
