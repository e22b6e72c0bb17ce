"""Run records: one JSON file per run (a seed of a method on a task), the facts that every view is made of. No JAX."""

import hashlib
import itertools
import json
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

SCHEMA = 1
Status = Literal["ok", "diverged", "failed"]


class RecordError(ValueError):
    """A file that is no record of this schema."""


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
    `end_error` by the former, as in `bench.rescore`; None where an episode was lost, empty where nothing was measured.
    `trajectory` is not part of the file: it lies beside it, see `bench.trajectories`, and `read` leaves it there.
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
    return "-".join([*(_plain(str(record_key[part])) for part in ("task", "method")), digest])


def record_path(folder: Path, record_key: dict[str, Any], seed: int) -> Path:
    """Where the record of a run lives."""
    return folder / "records" / f"{run_name(record_key)}-seed{seed}.json"


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_=." else "_" for c in name)[:80]


def write(path: Path, record: RunRecord) -> None:
    """Write a record so that the file is there whole or not at all, also after a crash. Raises OSError."""
    data = asdict(replace(record, trajectory=None))
    del data["trajectory"]
    if record.trajectory is not None:  # first: a run with a record is done
        write_atomically(trajectory_path(path), json.dumps(record.trajectory, allow_nan=False) + "\n")
    write_atomically(path, json.dumps(data, allow_nan=False, indent=1) + "\n")


def trajectory_path(path: Path) -> Path:
    """Where the trajectory of the run lives whose record is at `path`."""
    return path.parent.parent / "trajectories" / path.name


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Temporary file in the same folder, fsync, rename. Text is written as UTF-8. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def set_aside(path: Path) -> str:
    """Move a file that cannot be used out of the way, to a new name beside it; says where it went."""
    names = (path.with_name(f"{path.name}.unusable-{n}") for n in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    try:
        path.rename(aside)
    except OSError as error:
        return f"It could not be moved ({error.strerror})"
    return f"It is kept as {aside.name}"


def read(path: Path) -> RunRecord:
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


def read_all(folder: Path) -> Iterator[RunRecord | RecordError]:
    """Every record under `folder`, in the order of file names; a RecordError in the place of an unreadable file."""
    for path in sorted(folder.rglob("records/*.json"), key=str):  # paths themselves compare slowly
        try:
            yield read(path)
        except RecordError as error:
            yield error
