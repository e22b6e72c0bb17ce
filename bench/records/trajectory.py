"""Stored trajectories: the episode of a run's final policy beside the best known episode. No JAX here.

A run has one JSON file with `task` (its states, controls and horizon), `policy`, and `reference` (None where there is
none). The last two have `states` "knots n", `controls` "steps m", running `costs` " steps" and the total `cost`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from bench.records.run import RunRecord, run_name

SIGNIFICANT_DIGITS = 7  # float32 has no more
FindTrajectory = Callable[[RunRecord], dict[str, Any] | None]


def episode_to_json(states: ArrayLike, controls: ArrayLike, costs: ArrayLike, cost: SupportsFloat) -> dict[str, Any]:
    """Return one episode as values of JSON."""
    arrays = {"states": states, "controls": controls, "costs": costs}
    return {**{name: _rounded(np.asarray(values)) for name, values in arrays.items()}, "cost": float(cost)}


def _rounded(values: np.ndarray) -> list:
    return [_rounded(v) if np.ndim(v) else float(f"{v:.{SIGNIFICANT_DIGITS}g}") for v in values]


def trajectory_finder(folder: Path) -> FindTrajectory:
    """Return a function from a run to its trajectory under `folder`, None where it was not stored or cannot be read."""
    files = {path.name: path for path in folder.rglob("trajectories/*.json")}

    def find(run: RunRecord) -> dict[str, Any] | None:
        key = {name: getattr(run, name) for name in ("suite", "task", "method", "fingerprint", "settings")}
        path = files.get(f"{run_name(key)}-seed{run.seed}.json")
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path else None
        except (OSError, ValueError):
            return None

    return find
