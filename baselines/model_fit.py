"""The fit of a world model to the episodes of a replay buffer, for every method that learns one.

A batch of the fit is half old, drawn from all episodes, and half new, drawn from the last ones.
"""

from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key

from baselines.abstract_models import AbstractWorldModel
from baselines.normalisation import Scales
from baselines.optimisation import begin, descend
from baselines.replay_buffer import Replay
from bench.method import Fit

Model = TypeVar("Model", bound=AbstractWorldModel)


def begin_fit(
    optimiser: optax.GradientTransformation,
    make: Callable[..., AbstractWorldModel],
    scales: Scales,
    key: Key[Array, ""],
) -> Fit:
    """Return a model that has not been trained, with the given scales."""
    model = make(scales, key=key)
    return Fit(model, begin(optimiser, model))


def rescaled(model: Model, scales: Scales) -> Model:
    """Return the model with other scales."""
    return eqx.tree_at(lambda m: m.scales, model, scales)


def continue_fit(
    optimiser: optax.GradientTransformation,
    fit: Fit,
    episodes: Replay,
    batch: int,
    newest: int,
    keys: Key[Array, "updates 2"],
) -> Fit:
    """Return the model after an update for each pair of keys, half of each batch from the `newest` last episodes."""
    half = batch // 2

    def loss(model, keys):
        old = episodes.sample(keys[0], batch - half, newest=len(episodes.xs))
        new = episodes.sample(keys[1], half, newest=newest)
        rows = jnp.concatenate([old, new])
        # Scales are statistics: their gradient is dropped, so the optimiser never moves them.
        model = eqx.tree_at(lambda m: m.scales, model, jax.lax.stop_gradient(model.scales))
        return jnp.mean(jax.vmap(model.residuals)(episodes.xs[rows], episodes.us[rows]) ** 2)

    return Fit(*descend(optimiser, loss, *fit, keys))
