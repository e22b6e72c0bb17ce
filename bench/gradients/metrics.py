"""Quality of gradients in numbers: norms, cosines to the true gradient, signal to noise, shares of paths. No JAX.

Gradients are of all objectives (see differentiate.py) in many episodes. The first POLICY_EPISODES episodes are of the
policy itself; the others were collected in training, and their gradients are averaged in minibatches.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bench.analysis.stats import Floats
from bench.gradients.growth import growth

POLICY_EPISODES = 8
MINIBATCH_EPISODES = 4
USEFUL_COSINE = 0.5  # a gradient with a smaller cosine to the true one does not count for the effective horizon


def gradient_metrics(
    by_controls: Floats, by_parameters: Floats, true: Floats, horizons: Sequence[int]
) -> dict[str, Any]:
    """The numbers of a `Measurement` for gradients through one model.

    Shapes: `by_controls` "episodes objectives steps m"; `by_parameters` and the `true` ones, by the parameters too,
    "episodes objectives parameters". The last objective is the last cost: it has no entry per horizon, and gives
    `by_distance`.
    """
    ours, true = by_parameters[:POLICY_EPISODES, :-1], true[:POLICY_EPISODES, :-1]
    norms = np.linalg.norm(ours, axis=2)
    mean, true_mean = ours.mean(axis=0), true.mean(axis=0)
    cosines = cosine(mean, true_mean)
    collected = by_parameters[POLICY_EPISODES:, :-1]
    minibatches = collected.reshape(-1, MINIBATCH_EPISODES, *collected.shape[1:]).mean(axis=1)
    useful = [h for h, c in zip(horizons, cosines, strict=True) if c > USEFUL_COSINE]
    of_last_cost = np.linalg.norm(by_controls[:POLICY_EPISODES, -1], axis=2)
    return {
        "norm": finite_or_none(geometric_mean(norms)),
        "norm_of_mean": finite_or_none(np.linalg.norm(mean, axis=1)),
        "cosine": finite_or_none(cosines),
        "norm_ratio": finite_or_none(_ratio(np.linalg.norm(mean, axis=1), np.linalg.norm(true_mean, axis=1))),
        "snr_starts": finite_or_none(signal_to_noise(ours)),
        "snr_minibatches": finite_or_none(signal_to_noise(minibatches)),
        "non_finite": finite_or_none(1 - np.isfinite(by_parameters[:, :-1]).mean(axis=(0, 2))),
        "effective_horizon": max(useful, default=0),
        "by_distance": finite_or_none(geometric_mean(of_last_cost)[::-1]),
        "growth": growth(np.array(horizons, float), norms).to_json(),
    }


def path_shares(total: Floats, direct: Floats, true: Floats) -> dict[str, Any]:
    """How much of a gradient flows through predicted states, and how good the direct rest is.

    `total`, `direct` (with the paths through predicted states cut) and `true` are "episodes objectives parameters".
    """
    total, direct, true = (each[:POLICY_EPISODES, :-1] for each in (total, direct, true))
    circuitous = np.linalg.norm(total - direct, axis=2)
    share = circuitous / (circuitous + np.linalg.norm(direct, axis=2))
    return {
        "circuitous_share": finite_or_none(share.mean(axis=0)),
        "direct_norm": finite_or_none(geometric_mean(np.linalg.norm(direct, axis=2))),
        "direct_cosine": finite_or_none(cosine(direct.mean(axis=0), true.mean(axis=0))),
    }


def cosine(a: Floats, b: Floats) -> Floats:
    """The cosine between the rows of a and b; nan where a row is 0."""
    return _ratio(np.sum(a * b, axis=-1), np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


def geometric_mean(values: Floats) -> Floats:
    """The geometric mean over the first axis, 0 where a value is 0: norms of episodes differ by orders of magnitude."""
    with np.errstate(divide="ignore"):
        return np.exp(np.log(values).mean(axis=0))


def signal_to_noise(samples: Floats) -> Floats:
    """|mean|² / mean |sample - mean|² of "samples ... parameters", unbiased in the noise; nan without any noise."""
    mean = samples.mean(axis=0)
    noise = np.sum((samples - mean) ** 2, axis=(0, -1)) / (len(samples) - 1)
    return _ratio(np.sum(mean**2, axis=-1), np.where(noise > 1e-12 * np.sum(mean**2, axis=-1), noise, 0.0))


def _ratio(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b > 0)


def finite_or_none(values: ArrayLike) -> list[Any]:
    """An array as nested lists for JSON, which has no nan and no infinity: None in their place."""
    array = np.asarray(values, float)
    entries = array.astype(object)
    entries[~np.isfinite(array)] = None
    return entries.tolist()
