"""Policy gradients through models that were fitted to the same episodes, measured against the true gradient.

The true gradient is the simulator's, in float64, checked against finite differences. The models are differentiated in
float32, as in training, at the same controls and states. Gradients are taken at episodes of the policy itself, from
drawn starts, and in minibatches of the newest collected episodes, whose states the policy reads.
"""

from collections.abc import Callable, Iterator
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
from bench.gradients.differentiate import Objectives
from bench.gradients.metrics import POLICY_EPISODES
from bench.gradients.offline import fixed_data
from bench.gradients.records import SIMULATOR, Measurement
from bench.gradients.snapshots import Snapshot
from bench.machine import compilation
from bench.machine.provenance import provenance
from bench.method import AbstractModelMethod, Model
from bench.precision import float64
from bench.records.references import References
from bench.reference import difficulty
from bench.reference.lookup import lookup
from tasks.base import AbstractTask

DIFFERENCE_STEP = 1e-6  # the step of finite differences, in units of the controls


@dataclass(frozen=True)
class Request:
    """What to measure at one snapshot.

    `updates` are the numbers of optimiser steps after which a model is measured. Models are fitted to the episodes of
    the snapshot or, `offline`, to a fixed data set (offline.py). The fields' names and values name the file of the
    results.
    """

    suite: str
    snapshot: Path
    policy: str
    models: tuple[str, ...]
    horizons: tuple[int, ...]
    updates: tuple[int, ...]
    offline: bool = False


def measure(request: Request, references: References) -> list[Measurement]:
    """Measure the simulator, and each model after each number of updates. Raises UsageError."""
    compilation.enable_cache()
    snapshot = snapshots.read_snapshot(request.snapshot)
    truth = _true_gradients(snapshot, request.horizons)
    exponent = lyapunov(snapshot.task, references)
    measured = [_measurement(request, snapshot, exponent, SIMULATOR, 0, _simulator_numbers(truth))]
    for name in request.models:
        for updates, numbers in _model_numbers(snapshot, truth, name, request):
            measured.append(_measurement(request, snapshot, exponent, name, updates, numbers))
    return measured


@dataclass(frozen=True)
class _TrueGradients:
    """Episodes and the true gradients at them.

    The first POLICY_EPISODES episodes are of the policy itself, the others were collected in training. The last
    objective is the last cost (see differentiate.py).
    """

    horizons: tuple[int, ...]
    objectives: Objectives
    xs: Any  # true states, "episodes knots n"
    us: Any  # "episodes steps m"
    read: Any  # the states that the policy reads, "episodes knots n"
    by_controls: Floats  # "episodes objectives steps m"
    by_parameters: Floats  # "episodes objectives parameters"
    finite_difference_error: Floats  # relative, per horizon: the median over the policy's episodes


def _true_gradients(snapshot: Snapshot, horizons: tuple[int, ...]) -> _TrueGradients:
    task = snapshot.task
    objectives = differentiate.horizon_objectives(task.num_steps, horizons)
    read, us = _episodes(snapshot)
    with float64(task):
        x0s, exact_us = (jnp.asarray(np.asarray(leaf), jnp.float64) for leaf in (read[:, 0], us))
        keys = jr.split(jr.key(1), len(us))
        found = eqx.filter_jit(jax.vmap(partial(_exact_gradients, task, objectives)))(x0s, exact_us, keys)
        xs, gradients, errors = (np.asarray(each) for each in found)
    pulled = _pull_back(snapshot)(read, jnp.asarray(gradients, jnp.float32))
    return _TrueGradients(
        horizons=horizons,
        objectives=objectives,
        xs=jnp.asarray(xs, jnp.float32),
        us=us,
        read=read,
        by_controls=gradients,
        by_parameters=np.asarray(pulled, float),
        finite_difference_error=np.median(errors[:POLICY_EPISODES, :-1], axis=0),
    )


def _episodes(snapshot: Snapshot) -> tuple[Any, Any]:
    """The states that the policy reads and its controls there: in episodes of its own, then in collected ones."""
    task, method, state = snapshot.task, snapshot.method, snapshot.state
    x0s = jax.vmap(task.sample_start)(jr.split(jr.key(snapshot.seed), POLICY_EPISODES))
    read, us = eqx.filter_jit(jax.vmap(partial(differentiate.policy_episode, task, method, state)))(x0s)
    collected, _ = method.newest(state, POLICY_EPISODES)
    controls = eqx.filter_jit(jax.vmap(partial(differentiate.policy_controls, task, method, state)))(collected)
    return jnp.concatenate([read, collected]), jnp.concatenate([us, controls])


def _exact_gradients(task, objectives, x0, us, key):
    """The true states, the gradients, and their relative errors against finite differences along a drawn direction."""
    dynamics = differentiate.simulator_dynamics(task, x0)
    gradients = differentiate.by_controls(task, dynamics, us, objectives)
    direction = jr.normal(key, us.shape) * differentiate.interior_mask(task, us, 10 * DIFFERENCE_STEP)
    differences = differentiate.finite_differences(task, dynamics, us, objectives, direction, DIFFERENCE_STEP)
    along = jnp.sum(gradients * direction, axis=(1, 2))
    return dynamics(us)[0], gradients, jnp.abs(along - differences) / (jnp.abs(differences) + 1e-12)


def _pull_back(snapshot: Snapshot) -> Callable:
    """A function that pulls the gradients of many episodes back to the policy's parameters."""
    pull = partial(differentiate.by_parameters, snapshot.task, snapshot.method, snapshot.state)
    return eqx.filter_jit(jax.vmap(pull))


def _simulator_numbers(truth: _TrueGradients) -> dict[str, Any]:
    numbers = metrics.gradient_metrics(truth.by_controls, truth.by_parameters, truth.by_parameters, truth.horizons)
    error = metrics.finite_or_none(truth.finite_difference_error)
    return numbers | {"finite_difference_error": error, "fit_error": 0.0}


def _model_numbers(
    snapshot: Snapshot, truth: _TrueGradients, name: str, request: Request
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Fit a model, and yield the number of updates and the numbers of a measurement at each length of fit."""
    method = registry.method(name)
    if not isinstance(method, AbstractModelMethod):
        raise registry.SettingError(f"'{name}' fits no world model. Give methods that do.")
    task, episodes = snapshot.task, snapshot.method.collected(snapshot.state)
    begin_key, fit_key = jr.split(jr.key(snapshot.seed))
    if request.offline:
        method, episodes = method.offline(task, eqx.filter_jit(fixed_data)(task, jr.fold_in(begin_key, 1)))
    method = method.for_fits(-(-max(request.updates) // method.updates_per_fit))
    fit, advance = method.begin_fit(task, episodes, begin_key), eqx.filter_jit(method.fit)
    direct_method = method.without_circuitous_paths()
    pull_back = _pull_back(snapshot)
    differentiate_model = eqx.filter_jit(jax.vmap(partial(_model_gradients, task), in_axes=(None, 0, 0, None)))

    def gradients(model: Model) -> tuple[Floats, Floats]:
        by_controls = differentiate_model(model, truth.xs, truth.us, truth.objectives)
        return np.asarray(by_controls, float), np.asarray(pull_back(truth.read, by_controls), float)

    rounds = 0
    for length in sorted(request.updates):
        while rounds * method.updates_per_fit < length:
            fit = advance(fit, episodes, jr.fold_in(fit_key, rounds))
            rounds += 1
        by_controls, by_parameters = gradients(fit.model)
        numbers = metrics.gradient_metrics(by_controls, by_parameters, truth.by_parameters, truth.horizons)
        numbers["fit_error"] = fit_error(fit.model, truth.xs[:POLICY_EPISODES], truth.us[:POLICY_EPISODES])
        if direct_method is not None:
            cut_model = direct_method.begin_fit(task, episodes, begin_key).model
            _, direct = gradients(differentiate.with_weights_of(fit.model, cut_model))
            numbers |= metrics.path_shares(by_parameters, direct, truth.by_parameters)
        yield rounds * method.updates_per_fit, numbers


def _model_gradients(task, model, xs, us, objectives):
    dynamics = differentiate.corrected_model_dynamics(task, model, xs, us)
    return differentiate.by_controls(task, dynamics, us, objectives)


def fit_error(model: Model, xs: Any, us: Any) -> float:
    """Mean squared error of the states that a model predicts over the whole horizon.

    Each state counts in units of its variance over the episodes xs "batch knots n", us "batch steps m". These are not
    among the episodes that the model was fitted to.
    """
    unrolled = np.asarray(eqx.filter_jit(jax.vmap(lambda m, x, u: m(x, u), in_axes=(None, 0, 0)))(model, xs[:, 0], us))
    spread = np.maximum(np.std(np.asarray(xs), axis=(0, 1)), 1e-6)
    return float(np.mean(((unrolled - np.asarray(xs)[:, 1:]) / spread) ** 2))


def _measurement(
    request: Request, snapshot: Snapshot, exponent: float, model: str, updates: int, numbers: dict[str, Any]
) -> Measurement:
    return Measurement(
        suite=request.suite,
        task=snapshot.task_name,
        horizon=float(snapshot.task.horizon),
        num_steps=snapshot.task.num_steps,
        method=snapshot.method_name,
        policy=request.policy,
        model=model,
        updates=updates,
        seed=snapshot.seed,
        lyapunov=exponent,
        horizons=list(request.horizons),
        numbers=numbers,
        fingerprint=snapshot.fingerprint,
        provenance=provenance(),
        offline=request.offline,
    )


def lyapunov(task: AbstractTask, references: References) -> float:
    """The task's finite-time Lyapunov exponent times its horizon: stored with its reference, or measured now."""
    try:
        stored = lookup(task, references).lyapunov
    except LookupError:
        stored = None
    return difficulty.lyapunov(task) if stored is None else stored
