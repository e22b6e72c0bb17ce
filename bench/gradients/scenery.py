"""Landscapes as stored, and what is read off them. No JAX here."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.records import RecordError
from bench.stats import Floats

SCHEMA = 1
CLOSE = 0.1  # of the gap between the best and the median return: what counts as the best basin


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
    return float(np.mean(ends >= best - CLOSE * (best - median)))


def read(path: Path) -> list[Landscape]:
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


def read_all(folder: Path) -> Iterator[Landscape]:
    """Every landscape in a folder of results. Raises RecordError."""
    for path in sorted((folder / "landscapes").glob("*.json")):
        yield from read(path)
