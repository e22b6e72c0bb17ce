"""Stored trajectories: the episode of a run's final policy beside the best known one. No JAX here.

One JSON file per run: `task` (what the numbers are of: states, controls, horizon), `policy` and `reference` (None where
there is none), each with `states` "knots n", `controls` "steps m", running `costs` " steps" and the total `cost`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from bench.records.run import RunRecord, run_name

DIGITS = 7  # of the numbers that are stored: float32 has no more
FindTrajectory = Callable[[RunRecord], dict[str, Any] | None]


def episode_to_json(states: ArrayLike, controls: ArrayLike, costs: ArrayLike, cost: SupportsFloat) -> dict[str, Any]:
    """One episode as values of JSON."""
    arrays = {"states": states, "controls": controls, "costs": costs}
    return {**{name: _short(np.asarray(values)) for name, values in arrays.items()}, "cost": float(cost)}


def _short(values: np.ndarray) -> list:
    return [_short(v) if np.ndim(v) else float(f"{v:.{DIGITS}g}") for v in values]


def trajectory_finder(folder: Path) -> FindTrajectory:
    """Look for the trajectory of a run under `folder`; None where it was not kept or cannot be read."""
    files = {path.name: path for path in folder.rglob("trajectories/*.json")}

    def find(run: RunRecord) -> dict[str, Any] | None:
        key = {name: getattr(run, name) for name in ("suite", "task", "method", "fingerprint", "settings")}
        path = files.get(f"{run_name(key)}-seed{run.seed}.json")
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path else None
        except (OSError, ValueError):
            return None

    return find
