"""Measurements of gradients: a JSON file for all models at a policy, kept and resumed like run records. No JAX here."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.analysis.stats import Floats
from bench.records.files import RecordError, write_atomically

SCHEMA = 1
SIMULATOR = "simulator"  # stands among the models in measurements and landscapes
PER_HORIZON = ("norm", "norm_of_mean", "cosine", "norm_ratio", "snr_starts", "snr_minibatches", "non_finite")
PATHS = ("circuitous_share", "direct_norm", "direct_cosine", "finite_difference_error")
GROWTH = ("rate", "rate_low", "rate_high", "power", "power_low", "power_high", "better")


@dataclass(frozen=True)
class Measurement:
    """Gradients through one model (`simulator`: the true ones) of the cost over each of `horizons` steps.

    `method` trained the policy, of which `policy` says the moment (or "file"), and collected the episodes, `updates`
    steps of the model's optimiser were spent on them. `lyapunov` is the finite-time exponent times the whole horizon.
    `numbers` are, per horizon: `norm` (geometric mean over episodes from drawn starts), `norm_of_mean`, `cosine` and
    `norm_ratio` of the mean gradient to the true one, signal-to-noise over starts and over minibatches, the share of
    non-finite values; where the model reads its predictions, the share of the gradient through them, and norm and
    cosine of the rest; of the simulator, the error against finite differences. Beside these: `fit_error` (squared
    error of states over the whole horizon, in variances), `effective_horizon`, `by_distance` (norm of the gradient of
    the last cost by each action, the last first), and `growth` (see growth.py). None is not a finite number.
    """

    suite: str
    task: str
    horizon: float
    num_steps: int
    method: str
    policy: str
    model: str
    updates: int
    seed: int
    lyapunov: float
    horizons: list[int]
    numbers: dict[str, Any]
    fingerprint: str
    provenance: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def at(self, name: str, horizon: int) -> float | None:
        """A number per horizon; None where it is missing or not finite."""
        values = self.numbers.get(name)
        return values[self.horizons.index(horizon)] if values and horizon in self.horizons else None


def file_name(subject: str, key: dict[str, Any]) -> str:
    """What a file is called: a hash of all that defines its contents keeps other settings apart."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:12]
    return f"{subject.replace(':', '.')}-{digest}"


def write_results(path: Path, measured: Sequence[Any]) -> None:
    """The measurements of one request, atomically. Raises OSError."""
    text = json.dumps([asdict(each) for each in measured], allow_nan=False, indent=1)
    write_atomically(path, text + "\n")


def read_measurements(path: Path) -> list[Measurement]:
    """The measurements in a file. Raises RecordError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if any(each["schema"] != SCHEMA for each in data):
            raise RecordError(f"{path}: another schema than {SCHEMA}, which this version reads. Move it away.")
        return [Measurement(**each) for each in data]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"{path}: no measurement ({error}). Move it away; the command makes it anew.") from error


def read_all_measurements(folder: Path) -> Iterator[Measurement]:
    """Every measurement in a folder of results. Raises RecordError."""
    for path in sorted((folder / "gradients").glob("*.json")):
        yield from read_measurements(path)


def measurement_rows(measured: Iterable[Measurement]) -> list[dict[str, Any]]:
    """One line per measurement and horizon."""
    lines = []
    for m in measured:
        own = {k: getattr(m, k) for k in ("suite", "task", "num_steps", "method", "policy", "model", "updates", "seed")}
        own["fit_error"] = m.numbers.get("fit_error")
        for h in m.horizons:
            line = own | {"horizon": h, "lyapunov": m.lyapunov * h / m.num_steps}
            line |= {key: m.at(key, h) for key in PER_HORIZON + PATHS}
            line["effective_horizon"] = m.numbers.get("effective_horizon")
            lines.append(line | {key: m.numbers["growth"].get(key) for key in GROWTH})
    return lines


def measurements_csv(measured: Iterable[Measurement]) -> str:
    """The lines as CSV in full precision."""
    lines = measurement_rows(measured)
    file = io.StringIO()
    if lines:
        writer = csv.DictWriter(file, lines[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return file.getvalue()


BEST_BASIN_SHARE = 0.1  # of the gap between the best and the median return: what counts as the best basin


@dataclass(frozen=True)
class Surface:
    """The return under one model over the grid, its gradient, where ascent from each start ended, the true returns
    there, and the share of these ends that lie in the best basin of the true return. None is not a finite number."""

    model: str
    returns: list[float | None]
    gradients: list[list[float | None]]
    ends: list[list[float]]
    end_returns: list[float | None]
    reached: float


@dataclass(frozen=True)
class Landscape:
    """The surfaces of a task along `direction` in `space`, at points `alphas`; the simulator's comes first."""

    suite: str
    task: str
    num_steps: int
    seed: int
    direction: str
    space: str
    lyapunov: float
    alphas: list[list[float]]
    surfaces: list[dict[str, Any]]
    fingerprint: str
    provenance: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def surface(self, model: str) -> Surface | None:
        """That of a model, if there is one."""
        return next((Surface(**each) for each in self.surfaces if each["model"] == model), None)


def share_in_best_basin(returns: Floats, ends: Floats) -> float:
    """The share of `ends`, true returns where ascents ended, that are close to the best of `returns` over the grid."""
    best, median = np.max(returns), np.median(returns)
    return float(np.mean(ends >= best - BEST_BASIN_SHARE * (best - median)))


def read_landscapes(path: Path) -> list[Landscape]:
    """The landscape in a file, as the only element. Raises RecordError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if any(each["schema"] != SCHEMA for each in data):
            raise RecordError(f"{path}: another schema than {SCHEMA}, which this version reads. Move it away.")
        return [Landscape(**each) for each in data]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"{path}: no landscape ({error}). Move it away; the command makes it anew.") from error


def read_all_landscapes(folder: Path) -> Iterator[Landscape]:
    """Every landscape in a folder of results. Raises RecordError."""
    for path in sorted((folder / "landscapes").glob("*.json")):
        yield from read_landscapes(path)
