"""How the norm of a gradient grows with the horizon: exponentially or as a power. No JAX here.

    ln |g(H)| = a + r H         exponential, r per step          ln |g(H)| = a + p ln H      power law

Both laws have two parameters, so Akaike's criterion (AIC) prefers the one that leaves smaller squared residuals.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.analysis.stats import Floats


@dataclass(frozen=True)
class Growth:
    """The rate r per step and the exponent p (`power`), each with its 95 % interval over episodes.

    `aic_difference` is the AIC of the power law minus that of the exponential: above 0 the exponential fits better. All
    are None if there are fewer than three horizons, or if no episode has positive finite norms at all of them.
    """

    rate: float | None = None
    rate_low: float | None = None
    rate_high: float | None = None
    power: float | None = None
    power_low: float | None = None
    power_high: float | None = None
    aic_difference: float | None = None

    @property
    def better(self) -> str:
        """The law that fits better, "exponential" or "power"; empty where none was fitted."""
        if self.aic_difference is None:
            return ""
        return "exponential" if self.aic_difference > 0 else "power"

    def to_json(self) -> dict[str, Any]:
        """The fields and the better law as values of JSON."""
        return asdict(self) | {"better": self.better}


def growth(horizons: Floats, norms: Floats) -> Growth:
    """Fit both laws to `norms` of shape "episodes horizons"; episodes with a norm that is not positive are left out."""
    used = norms[np.all(np.isfinite(norms) & (norms > 0), axis=1)]
    if len(horizons) < 3 or not len(used):
        return Growth()
    logs = np.log(used)
    rates, exponential = _fit_lines(np.asarray(horizons, float), logs)
    powers, power = _fit_lines(np.log(horizons), logs)
    n = len(horizons)
    # The squared residuals of an exact law are rounding errors; the floor keeps them from deciding, and from being 0.
    floor = 1e-24 * n
    difference = n * math.log(max(power, floor) / max(exponential, floor))
    return Growth(*interval(rates), *interval(powers), difference)


def interval(values: Floats, level: float = 0.95) -> tuple[float, float | None, float | None]:
    """(mean, low, high) by Student's t; the ends are None for a single value."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, None, None
    from scipy.stats import t  # slow to import

    half = t.ppf((1 + level) / 2, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return mean, mean - float(half), mean + float(half)


def _fit_lines(x: Floats, logs: Floats) -> tuple[Floats, float]:
    """Fit a line to each row of logarithms: the slopes, and the squared residuals of the line through the mean row."""
    centred = x - x.mean()
    slopes = (logs - logs.mean(axis=1, keepdims=True)) @ centred / (centred @ centred)
    mean = logs.mean(axis=0)
    return slopes, float(np.sum((mean - mean.mean() - slopes.mean() * centred) ** 2))
