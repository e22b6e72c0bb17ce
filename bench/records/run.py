"""Run records: one JSON file per run (a seed of a method on a task), the facts that every view is made of. No JAX."""

import hashlib
import json
import math
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

    `curve` holds one entry per evaluation: env_steps, updates (older records lack them), train_seconds, cost, end_error
    (None where not finite). `usage` is what the run spent: env_steps, env_grad_steps, updates, train_seconds and
    compile_seconds (with tracing, and with what scores the final policy again; older records are without that); seconds
    are the wall time of the block of seeds divided by their number. `settings` holds every field of the task, the
    method and the budget. `ended_by` is "budget" or the cap of the budget that came first, "updates" or "seconds"; for
    a failed run it is "error", "time limit" or "lost worker".

    `rescored` are the final policy's costs by an adaptive solver (`adaptive`) and on a finer grid (`finer`), and its
    `end_error` by the former, as in `bench.training.rescore`; None where an episode was lost, empty where nothing was
    measured.
    `trajectory` is not part of the file: it lies beside it, see `bench.records.trajectory`, and `read` leaves it there.
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
        """Whether all that the method simulated was charged; an oracle's settings say that it was not."""
        return self.settings["method"].get("charged", True)


def final_cost(curve: list[dict[str, int | float | None]]) -> tuple[Status, float | None]:
    """Status and cost of a finished curve: diverged if any evaluation is not finite, else the mean of the last five."""
    costs = [point["cost"] for point in curve]
    finite = [c for c in costs if c is not None and math.isfinite(c)]
    if not costs or len(finite) < len(costs):
        return "diverged", None
    last = finite[-5:]
    return "ok", math.fsum(last) / len(last)


def run_name(record_key: dict[str, Any]) -> str:
    """What the files of a cell are called. The name carries a hash of all that defines the cell, so that another
    setting never overwrites it.

    `record_key` has suite, task, method, fingerprint and settings.
    """
    digest = hashlib.sha256(json.dumps(record_key, sort_keys=True).encode()).hexdigest()[:8]
    return "-".join([*(_for_file_name(str(record_key[part])) for part in ("task", "method")), digest])


def record_path(folder: Path, record_key: dict[str, Any], seed: int) -> Path:
    """Where the record of a run lives."""
    return folder / "records" / f"{run_name(record_key)}-seed{seed}.json"


def _for_file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_=." else "_" for c in name)[:80]


def write_record(path: Path, record: RunRecord) -> None:
    """Write a record so that the file is there whole or not at all, also after a crash. Raises OSError."""
    data = asdict(replace(record, trajectory=None))
    del data["trajectory"]
    if record.trajectory is not None:  # first: a run with a record is done
        write_atomically(trajectory_path(path), json.dumps(record.trajectory, allow_nan=False) + "\n")
    write_atomically(path, json.dumps(data, allow_nan=False, indent=1) + "\n")


def trajectory_path(path: Path) -> Path:
    """Where the trajectory of the run lives whose record is at `path`."""
    return path.parent.parent / "trajectories" / path.name


def read_record(path: Path) -> RunRecord:
    """One record. Raises RecordError naming the file when it is truncated, garbled or of another schema."""
    try:
        data = json.loads(path.read_bytes())
        if data["schema"] != SCHEMA:
            raise RecordError(f"{path}: record schema {data['schema']}, this version reads {SCHEMA}.")
        return RunRecord(**data)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(
            f"{path}: not a run record ({error}). Move it away; `bench run` then makes it anew."
        ) from error


def read_records(folder: Path) -> Iterator[RunRecord | RecordError]:
    """Every record under `folder`, in the order of file names; a RecordError in the place of an unreadable file."""
    for path in sorted(folder.rglob("records/*.json"), key=str):  # paths themselves compare slowly
        try:
            yield read_record(path)
        except RecordError as error:
            yield error
