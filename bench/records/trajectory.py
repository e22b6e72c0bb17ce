"""Stored trajectories: the episode of a run's final policy beside the best known episode. No JAX here.

A run has one JSON file with `task` (its states, controls and horizon), `policy`, and `reference` (None where there is
none). The last two have `states` "knots n", `controls` "steps m", running `costs` " steps" and the total `cost`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, SupportsFloat, TypedDict

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from bench.records.decode import DecodeError, check
from bench.records.files import RecordError, read_file
from bench.records.run import RunRecord, record_path
from bench.records.run_parts import Horizon

SIGNIFICANT_DIGITS = 7  # float32 has no more
FindTrajectory = Callable[[RunRecord], dict[str, Any] | None]


def episode_to_json(states: ArrayLike, controls: ArrayLike, costs: ArrayLike, cost: SupportsFloat) -> dict[str, Any]:
    """Return one episode as values of JSON."""
    arrays = {"states": states, "controls": controls, "costs": costs}
    return {**{name: _rounded(np.asarray(values)) for name, values in arrays.items()}, "cost": float(cost)}


def _rounded(values: np.ndarray) -> list:
    return [_rounded(v) if np.ndim(v) else float(f"{v:.{SIGNIFICANT_DIGITS}g}") for v in values]


class _Episode(TypedDict):
    states: list[list[float]]
    controls: list[list[float]]
    costs: list[float]
    cost: float


class _State(TypedDict):
    name: str
    unit: str
    target: float | None


class _Control(TypedDict):
    name: str
    unit: str


class _Task(TypedDict):
    horizon: Horizon
    time_unit: str
    states: list[_State]
    controls: list[_Control]


class _Trajectory(TypedDict):
    task: _Task
    policy: _Episode
    reference: _Episode | None


def decode_trajectory(data: bytes, rows: int) -> dict[str, Any]:
    """Return a stored trajectory of that many steps, checked for its entries and shapes. Raises DecodeError."""
    found = check(msgspec.json.decode, data)
    typed: _Trajectory = check(msgspec.convert, found, _Trajectory)
    numbers = len(typed["task"]["states"]), len(typed["task"]["controls"])
    for episode in filter(None, (typed["policy"], typed["reference"])):
        lengths = len(episode["states"]), len(episode["controls"]), len(episode["costs"])
        if lengths != (rows + 1, rows, rows):
            raise DecodeError(f"{rows} steps need {rows + 1} states, {rows} controls and costs, got {lengths}")
        widths = {len(row) for row in episode["states"]}, {len(row) for row in episode["controls"]}
        if widths != ({numbers[0]}, {numbers[1]}):
            raise DecodeError("its rows do not have a number for each variable of the task")
    return found


def trajectory_finder(folder: Path, say: Callable[[str], None] = lambda text: None) -> FindTrajectory:
    """Return a function from a run to its trajectory under `folder`, None where it was not stored.

    A trajectory that cannot be used is None, too; `say` is told its file and the reason.
    """
    files = {path.name: path for path in folder.rglob("trajectories/*.json")}

    def find(run: RunRecord) -> dict[str, Any] | None:
        path = files.get(record_path(folder, run.key, run.seed).name)
        try:
            return decode_trajectory(read_file(path), run.num_steps) if path else None
        except FileNotFoundError:
            return None
        except RecordError as error:
            say(str(error))
        except DecodeError as error:
            say(f"{path}: not a trajectory ({error}). Move it away.")
        return None

    return find
