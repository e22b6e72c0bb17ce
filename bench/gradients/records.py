"""Measurements of gradients, and landscapes, in JSON files that are kept and resumed like run records. No JAX here."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np

from bench.analysis.stats import Floats
from bench.machine.printing import csv_cell
from bench.records.decode import Count, DecodeError, Decoder, Name, Size, check
from bench.records.files import RecordError, read_file, write_atomically
from bench.records.run_parts import Horizon

SCHEMA: Literal[1] = 1
SIMULATOR = "simulator"  # the name of the true dynamics among the models
BEST_BASIN_SHARE = 0.1  # share of the gap between the best and the median return that still counts as the best basin
PER_HORIZON = (
    "norm",
    "norm_of_mean",
    "cosine",
    "norm_ratio",
    "snr_starts",
    "snr_minibatches",
    "non_finite",
    "circuitous_share",
    "direct_norm",
    "direct_cosine",
    "finite_difference_error",
)
GROWTH = ("rate", "rate_low", "rate_high", "power", "power_low", "power_high", "better")


@dataclass(frozen=True)
class Measurement:
    """Gradients through one model (or the `simulator`) of the cost over each of `horizons` steps.

    `method` trained the policy and collected the episodes. `policy` is the moment of that training ("initial",
    "middle" or "final"), or the name of a snapshot's file. The model was fitted to these episodes by `updates`
    optimiser steps, or to a fixed data set (`offline`). `lyapunov` is the finite-time exponent times the whole horizon.

    `numbers` has, per horizon:

    - `norm`: geometric mean of the norms over episodes from drawn starts;
    - `norm_of_mean`: norm of the mean gradient over these episodes;
    - `cosine`, `norm_ratio`: the mean gradient against the true one;
    - `snr_starts`, `snr_minibatches`: signal to noise over starts, and over minibatches;
    - `non_finite`: share of values that are not finite;
    - `circuitous_share`: share of the gradient that flows through predicted states, if the model reads them;
    - `direct_norm`, `direct_cosine`: norm of the rest, and its cosine to the true gradient;
    - `finite_difference_error`: error against finite differences, for the simulator.

    And once:

    - `fit_error`: squared error of the states over the whole horizon, in units of their variances;
    - `effective_horizon`: the longest horizon with a useful cosine;
    - `by_distance`: norm of the gradient of the last cost by each action, the last action first;
    - `growth`: how the norm grows with the horizon, see growth.py.

    None stands for what is not a finite number.
    """

    suite: Name
    task: Name
    horizon: Horizon
    num_steps: Size
    method: Name
    policy: Name
    model: Name
    updates: Count
    seed: Count
    lyapunov: float
    horizons: list[Size]
    numbers: dict[str, Any]
    fingerprint: Name
    provenance: dict[str, Any] = field(default_factory=dict)
    offline: bool = False
    schema: Literal[1] = SCHEMA

    def at(self, name: str, horizon: int) -> float | None:
        """A number at a horizon; None where it is missing or not finite."""
        values = self.numbers.get(name)
        return values[self.horizons.index(horizon)] if values and horizon in self.horizons else None


@dataclass(frozen=True)
class Surface:
    """The return under one model at the points of a landscape, and where gradient ascent on it ends.

    `ends` are the points where ascent from each start ended, `end_returns` the true returns there, and `reached` the
    share of these ends that lie in the best basin of the true return. None stands for what is not a finite number.
    """

    model: str
    returns: list[float | None]
    gradients: list[list[float | None]]
    ends: list[list[float]]
    end_returns: list[float | None]
    reached: float


@dataclass(frozen=True)
class Landscape:
    """The surfaces of a task along `direction` in `space`, at points `alphas`; the simulator's comes first.

    `offline` says that the models were fitted to a fixed data set (see `bench.gradients.offline`).
    """

    suite: Name
    task: Name
    num_steps: Size
    seed: Count
    direction: str
    space: str
    lyapunov: float
    alphas: list[list[float]]
    surfaces: list[dict[str, Any]]
    fingerprint: Name
    provenance: dict[str, Any] = field(default_factory=dict)
    offline: bool = False
    schema: Literal[1] = SCHEMA

    def surface(self, model: str) -> Surface | None:
        """The surface of a model; None if there is none."""
        return next((Surface(**each) for each in self.surfaces if each["model"] == model), None)


Result = TypeVar("Result", Measurement, Landscape)
MEASUREMENTS, LANDSCAPES = Decoder(Measurement), Decoder(Landscape)


def contradiction(found: Measurement | Landscape) -> str:
    """Return in words what in a result does not fit together, "" if nothing is amiss. Raises DecodeError."""
    if isinstance(found, Landscape):
        surfaces = check(msgspec.convert, found.surfaces, list[Surface])
        lengths = {len(each) for s in surfaces for each in (s.returns, s.gradients)}
        return "" if lengths <= {len(found.alphas)} else "a surface has other points than the landscape"
    lists = {name: found.numbers[name] for name in PER_HORIZON if found.numbers.get(name)}
    lengths = {len(values) for values in check(msgspec.convert, lists, dict[str, list[float | None]]).values()}
    check(msgspec.convert, found.numbers.get("growth", {}), dict[str, Any])
    check(msgspec.convert, found.numbers.get("by_distance", []), list[float | None])
    for name in ("fit_error", "effective_horizon"):
        check(msgspec.convert, found.numbers.get(name), float | None)
    return "" if lengths <= {len(found.horizons)} else "it has other numbers than horizons"


def share_in_best_basin(returns: Floats, ends: Floats) -> float:
    """The share of `ends`, true returns where ascents ended, that are close to the best of `returns` over the grid."""
    best, median = np.max(returns), np.median(returns)
    return float(np.mean(ends >= best - BEST_BASIN_SHARE * (best - median)))


def file_name(subject: str, key: dict[str, Any]) -> str:
    """The name of a result's file; a hash of `key`, all that defines the contents, keeps other settings apart."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:12]
    return f"{subject.replace(':', '.')}-{digest}"


def write_results(path: Path, results: Sequence[Measurement] | Sequence[Landscape]) -> None:
    """Write the results of one request atomically. Raises OSError."""
    text = json.dumps([asdict(each) for each in results], allow_nan=False, indent=1)
    write_atomically(path, text + "\n")


def read_measurements(path: Path) -> list[Measurement]:
    """The measurements in a file. Raises FileNotFoundError if there is none, and RecordError."""
    return _read(path, MEASUREMENTS, "measurement")


def read_landscapes(path: Path) -> list[Landscape]:
    """The landscape in a file, the only element of the list. Raises FileNotFoundError, and RecordError."""
    return _read(path, LANDSCAPES, "landscape")


def read_all_measurements(folder: Path, say: Callable[[str], None] = lambda text: None) -> Iterator[Measurement]:
    """Every measurement in a folder of results; `say` is told of each file that cannot be read, and why."""
    for path in sorted((folder / "gradients").glob("*.json")):
        try:
            yield from read_measurements(path)
        except RecordError as error:
            say(str(error))


def _read(path: Path, decoder: Decoder[Result], noun: str) -> list[Result]:
    try:
        found = decoder.decode_list(read_file(path))
        wrong = next(filter(None, map(contradiction, found)), "")
        if wrong:
            raise DecodeError(wrong)
        return found
    except DecodeError as error:
        raise RecordError(f"{path}: no {noun} ({error}). Move it away; the command makes it anew.") from error


def measurements_csv(measured: Iterable[Measurement]) -> str:
    """Measurements as CSV in full precision, a row for each measurement and horizon."""
    rows = [row for m in measured for row in _csv_rows(m)]
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _csv_rows(m: Measurement) -> Iterator[dict[str, Any]]:
    shared = {k: getattr(m, k) for k in ("suite", "task", "num_steps", "method", "policy", "model", "updates", "seed")}
    shared["fit_error"] = m.numbers.get("fit_error")
    for h in m.horizons:
        yield {
            **shared,
            "horizon": h,
            "lyapunov": m.lyapunov * h / m.num_steps,
            **{key: m.at(key, h) for key in PER_HORIZON},
            "effective_horizon": m.numbers.get("effective_horizon"),
            **{key: m.numbers.get("growth", {}).get(key) for key in GROWTH},
        }
