"""How good gradients are, in numbers: norms, cosines to the true ones, signal to noise, and shares of their paths. No
JAX.

The first STARTS episodes are those of the policy, the others collected ones, in minibatches.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.analysis.stats import Floats
from bench.gradients.growth import growth

POLICY_EPISODES = 8  # episodes
MINIBATCH = 4  # episodes
USEFUL_COSINE = 0.5  # a cosine to the true gradient


def gradient_metrics(
    by_controls: Floats, by_parameters: Floats, true: Floats, horizons: Sequence[int]
) -> dict[str, Any]:
    """What is said of gradients "episodes heads parameters", and "episodes heads steps m" by the controls, beside the
    true ones, per horizon; the last head is kept for distances."""
    own, true = by_parameters[:POLICY_EPISODES, :-1], true[:POLICY_EPISODES, :-1]
    norms = np.linalg.norm(own, axis=2)
    mean, true_mean = own.mean(axis=0), true.mean(axis=0)
    cosines = cosine(mean, true_mean)
    collected = by_parameters[POLICY_EPISODES:, :-1]
    batches = collected.reshape(-1, MINIBATCH, *collected.shape[1:]).mean(axis=1)
    useful = [h for h, c in zip(horizons, cosines, strict=True) if c > USEFUL_COSINE]
    last = np.linalg.norm(by_controls[:POLICY_EPISODES, -1], axis=2)
    return {
        "norm": finite_or_none(geometric_mean(norms)),
        "norm_of_mean": finite_or_none(np.linalg.norm(mean, axis=1)),
        "cosine": finite_or_none(cosines),
        "norm_ratio": finite_or_none(_ratio(np.linalg.norm(mean, axis=1), np.linalg.norm(true_mean, axis=1))),
        "snr_starts": finite_or_none(signal_to_noise(own)),
        "snr_minibatches": finite_or_none(signal_to_noise(batches)),
        "non_finite": finite_or_none(1 - np.isfinite(by_parameters[:, :-1]).mean(axis=(0, 2))),
        "effective_horizon": max(useful, default=0),
        "by_distance": finite_or_none(geometric_mean(last)[::-1]),
        "growth": growth(np.array(horizons, float), norms).plain(),
    }


def path_shares(total: Floats, direct: Floats, true: Floats) -> dict[str, Any]:
    """How much of gradients "episodes heads parameters" goes through predicted states, and how good the rest is."""
    total, direct, true = (each[:POLICY_EPISODES, :-1] for each in (total, direct, true))
    around = np.linalg.norm(total - direct, axis=2)
    share = around / (around + np.linalg.norm(direct, axis=2))
    return {
        "circuitous_share": finite_or_none(share.mean(axis=0)),
        "direct_norm": finite_or_none(geometric_mean(np.linalg.norm(direct, axis=2))),
        "direct_cosine": finite_or_none(cosine(direct.mean(axis=0), true.mean(axis=0))),
    }


def cosine(a: Floats, b: Floats) -> Floats:
    """Between rows; nan where one is 0."""
    return _ratio(np.sum(a * b, axis=-1), np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


def geometric_mean(values: Floats) -> Floats:
    """Over the first axis: norms differ by orders of magnitude between episodes; 0 where one is 0."""
    with np.errstate(divide="ignore"):
        return np.exp(np.log(values).mean(axis=0))


def signal_to_noise(samples: Floats) -> Floats:
    """|mean|² / mean |sample - mean|² of "samples ... parameters", unbiased in the noise; nan without any noise."""
    mean = samples.mean(axis=0)
    noise = np.sum((samples - mean) ** 2, axis=(0, -1)) / (len(samples) - 1)
    return _ratio(np.sum(mean**2, axis=-1), np.where(noise > 1e-12 * np.sum(mean**2, axis=-1), noise, 0.0))


def _ratio(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b > 0)


def finite_or_none(values: Floats) -> list[float | None]:
    """For JSON, which has no nan and no infinity."""
    return [float(v) if np.isfinite(v) else None for v in values]
