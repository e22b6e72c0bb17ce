"""How good gradients are, in numbers: norms, cosines to the true ones, signal to noise, and shares of their paths. No
JAX.

The first STARTS episodes are those of the policy, the others collected ones, in minibatches.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.gradients.growth import growth
from bench.stats import Floats

STARTS = 8  # episodes
MINIBATCH = 4  # episodes
USEFUL = 0.5  # a cosine to the true gradient


def numbers(by_controls: Floats, by_parameters: Floats, true: Floats, horizons: Sequence[int]) -> dict[str, Any]:
    """What is said of gradients "episodes heads parameters", and "episodes heads steps m" by the controls, beside the
    true ones, per horizon; the last head is kept for distances."""
    own, true = by_parameters[:STARTS, :-1], true[:STARTS, :-1]
    norms = np.linalg.norm(own, axis=2)
    mean, true_mean = own.mean(axis=0), true.mean(axis=0)
    cosines = cosine(mean, true_mean)
    collected = by_parameters[STARTS:, :-1]
    batches = collected.reshape(-1, MINIBATCH, *collected.shape[1:]).mean(axis=1)
    useful = [h for h, c in zip(horizons, cosines, strict=True) if c > USEFUL]
    last = np.linalg.norm(by_controls[:STARTS, -1], axis=2)
    return {
        "norm": plain(geometric_mean(norms)),
        "norm_of_mean": plain(np.linalg.norm(mean, axis=1)),
        "cosine": plain(cosines),
        "norm_ratio": plain(_ratio(np.linalg.norm(mean, axis=1), np.linalg.norm(true_mean, axis=1))),
        "snr_starts": plain(signal_to_noise(own)),
        "snr_minibatches": plain(signal_to_noise(batches)),
        "non_finite": plain(1 - np.isfinite(by_parameters[:, :-1]).mean(axis=(0, 2))),
        "effective_horizon": max(useful, default=0),
        "by_distance": plain(geometric_mean(last)[::-1]),
        "growth": growth(np.array(horizons, float), norms).plain(),
    }


def path_shares(total: Floats, direct: Floats, true: Floats) -> dict[str, Any]:
    """How much of gradients "episodes heads parameters" goes through predicted states, and how good the rest is."""
    total, direct, true = (each[:STARTS, :-1] for each in (total, direct, true))
    around = np.linalg.norm(total - direct, axis=2)
    share = around / (around + np.linalg.norm(direct, axis=2))
    return {
        "circuitous_share": plain(share.mean(axis=0)),
        "direct_norm": plain(geometric_mean(np.linalg.norm(direct, axis=2))),
        "direct_cosine": plain(cosine(direct.mean(axis=0), true.mean(axis=0))),
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


def plain(values: Floats) -> list[float | None]:
    """For JSON, which has no nan and no infinity."""
    return [float(v) if np.isfinite(v) else None for v in values]
