"""Run records: one JSON file a run (a seed of a method on a task), from which every view is made. No JAX."""

import hashlib
import json
import math
import numbers
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bench.records.files import RecordError, write_atomically

SCHEMA = 1
Status = Literal["ok", "diverged", "failed"]


@dataclass(frozen=True)
class RunRecord:
    """One run. `cost` is the mean of the last five evaluations, None unless the status is "ok".

    `curve` has one entry for each evaluation: env_steps, updates (absent in older records), train_seconds, cost,
    end_error and violation (of a constraint; absent in older records); None where not finite. `usage` is what the run
    spent: env_steps, env_grad_steps, updates, train_seconds and compile_seconds (with tracing and, except in older
    records, with the programs that score the final policy again). Seconds are the wall time of the block of seeds
    divided by their number. `settings` holds every field of the task, the method and the budget; infinities and NaN are
    text there (see `storable`). `ended_by` is "budget", or the cap that came first, "updates" or "seconds"; for a
    failed run it is "error", "time limit" or "lost worker".

    `rescored` holds the final policy's cost by an adaptive solver (`adaptive`) and on a finer grid (`finer`), its
    `end_error` by the adaptive solver, and its `violation` (see `bench.training.rescore`). A value is None where an
    episode was lost, and `rescored` is empty where nothing was measured. `trajectory` is stored in a file of its own
    (see `bench.records.trajectory`), which `read_record` does not read.
    """

    suite: str
    task: str
    horizon: float
    num_steps: int
    method: str
    seed: int
    status: Status
    cost: float | None
    curve: list[dict[str, int | float | None]]
    usage: dict[str, int | float]
    fingerprint: str
    settings: dict[str, Any]
    provenance: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    ended_by: str = "budget"
    rescored: dict[str, float | None] = field(default_factory=dict)
    trajectory: dict[str, Any] | None = field(default=None, compare=False, repr=False)
    schema: int = SCHEMA

    @property
    def charged(self) -> bool:
        """Whether every simulated step of the method was charged; an oracle's settings say that not all were."""
        return self.settings["method"].get("charged", True)


def final_cost(curve: list[dict[str, int | float | None]]) -> tuple[Status, float | None]:
    """Return status and cost of a finished curve.

    It is diverged if any evaluation is not finite. The cost is the mean of the last five evaluations.
    """
    costs = [point["cost"] for point in curve]
    finite = [c for c in costs if c is not None and math.isfinite(c)]
    if not costs or len(finite) < len(costs):
        return "diverged", None
    last = finite[-5:]
    return "ok", math.fsum(last) / len(last)


def run_name(record_key: dict[str, Any]) -> str:
    """Return the common part of the names of a cell's files.

    It contains a hash of `record_key`, which has suite, task, method, fingerprint and settings: a run with another
    setting never overwrites the file.
    """
    digest = hashlib.sha256(json.dumps(record_key, sort_keys=True).encode()).hexdigest()[:8]
    return "-".join([*(_for_file_name(str(record_key[part])) for part in ("task", "method")), digest])


def record_path(folder: Path, record_key: dict[str, Any], seed: int) -> Path:
    """Return the path of a run's record."""
    return folder / "records" / f"{run_name(record_key)}-seed{seed}.json"


def _for_file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_=." else "_" for c in name)[:80]


def write_record(path: Path, record: RunRecord) -> None:
    """Write a record, and its trajectory in a file of its own, atomically.

    Raises OSError, or TypeError or ValueError for a value that JSON lacks.
    """
    data = asdict(replace(record, trajectory=None))
    del data["trajectory"]
    if record.trajectory is not None:  # first, because a run that has a record is done
        write_atomically(
            trajectory_path(path), json.dumps(record.trajectory, allow_nan=False, default=_plain_number) + "\n"
        )
    write_atomically(path, json.dumps(data, allow_nan=False, indent=1, default=_plain_number) + "\n")


def storable(value: Any) -> Any:
    """Return settings as values of JSON: NumPy's numbers as Python's; infinities and NaN, which JSON lacks, as text."""
    if isinstance(value, dict):
        return {key: storable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable(each) for each in value]
    if isinstance(value, numbers.Number) and not isinstance(value, int | float):
        value = _plain_number(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _plain_number(value: Any) -> int | float:
    """Return a number that JSON's encoder does not know, such as one of NumPy's, as Python's. Raises TypeError."""
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be stored in a record")


def trajectory_path(path: Path) -> Path:
    """Return the path of a trajectory, given that of its run's record."""
    return path.parent.parent / "trajectories" / path.name


def read_record(path: Path) -> RunRecord:
    """Read a record. Raises RecordError, which names the file, if it is truncated, garbled or of another schema."""
    try:
        data = json.loads(path.read_bytes())
        if data["schema"] != SCHEMA:
            raise RecordError(f"{path}: record schema {data['schema']}, this version reads {SCHEMA}.")
        return RunRecord(**data)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(
            f"{path}: not a run record ({error}). Move it away; `bench run` then computes it again."
        ) from error


def read_records(folder: Path) -> Iterator[RunRecord | RecordError]:
    """Yield every record under `folder`, in the order of file names; a RecordError in place of an unreadable file."""
    for path in sorted(folder.rglob("records/*.json"), key=str):  # paths themselves compare slowly
        try:
            yield read_record(path)
        except RecordError as error:
            yield error
