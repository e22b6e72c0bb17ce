"""Run records: the facts of a run (a seed of a method on a task), from which every view is made. No JAX."""

import hashlib
import itertools
import json
import math
import numbers
import re
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from bench.records.decode import Count, DecodeError, Decoder, Name, Size, stored_as
from bench.records.files import RecordError, read_file
from bench.records.run_parts import Horizon, Point, Rescored, Settings, Usage

SCHEMA: Literal[1] = 1
Status = Literal["ok", "diverged", "failed"]
Kind = Literal["learner", "planner", "oracle"]
SCHEMA_FILE = Path(__file__).with_name("run.schema.json")
AVERAGED = 5  # evaluations, the last ones, whose mean is a run's cost
NAMED_FOR_A_CELL = re.compile(r"(?P<cell>[^-]+-[^-]+-[0-9a-f]{8})(?:-seed(?P<seed>\d+)\.json|(?:\.[^.]+)?\.jsonl)")


@dataclass(frozen=True)
class RunRecord:
    """One run. `cost` is the mean of the last five evaluations, None unless the status is "ok".

    `curve` has one entry for each evaluation: env_steps, updates (absent in older records), train_seconds, cost,
    end_error and violation (of a constraint; absent in older records); None where not finite. `usage` is what the run
    spent: env_steps, env_grad_steps, updates, train_seconds and compile_seconds (with tracing and, except in older
    records, with the programs that score the final policy again), and acting_env_steps (absent in older records), which
    its policy simulates to act in a judged episode. Seconds are the wall time of the block of seeds divided by their
    number. `settings` holds every field of the task, the method and the budget; infinities and NaN are text there (see
    `storable`). `ended_by` is "budget", or the cap that came first, "updates" or "seconds"; for a failed run it is
    "error", "time limit" or "lost worker".

    `rescored` holds the final policy's cost by an adaptive solver (`adaptive`) and on a finer grid (`finer`), its
    `end_error` by the adaptive solver, and its `violation` (see `bench.training.rescore`). A value is None where an
    episode was lost, and `rescored` is empty where nothing was measured. `trajectory` is stored in a file of its own
    (see `bench.records.trajectory`), which `read_record` does not read.

    `method_fingerprint` identifies the programs that ran, and `sources` the code that was traced to them; both are
    empty in older records. `file` is where the record was read.
    """

    suite: Name
    task: Name
    horizon: Horizon
    num_steps: Size
    method: Name
    seed: Count
    status: Status
    cost: float | None
    curve: list[dict[str, int | float | None]] = field(metadata=stored_as(list[Point]))
    usage: dict[str, int | float] = field(metadata=stored_as(Usage))
    fingerprint: Name
    settings: dict[str, Any] = field(metadata=stored_as(Settings))
    provenance: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    ended_by: str = "budget"
    rescored: dict[str, float | None] = field(default_factory=dict, metadata=stored_as(Rescored))
    trajectory: dict[str, Any] | None = field(default=None, compare=False, repr=False)
    schema: Literal[1] = SCHEMA
    method_fingerprint: str = ""
    sources: str = ""
    file: Path | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> dict[str, Any]:
        """All that defines the run's cell: what its seeds have in common."""
        return {name: getattr(self, name) for name in ("suite", "task", "method", "fingerprint", "settings")}

    @property
    def kind(self) -> Kind:
        """The class of the method, which is compared within its class only.

        An oracle simulates more than it is charged for, as its settings say. A planner simulates in order to act.
        """
        if not self.settings["method"].get("charged", True):
            return "oracle"
        return "planner" if self.usage.get("acting_env_steps", 0) else "learner"


def final_cost(curve: list[dict[str, int | float | None]]) -> tuple[Status, float | None]:
    """Return status and cost of a finished curve.

    It is diverged if any evaluation is not finite. The cost is the mean of the last five evaluations.
    """
    costs = [point["cost"] for point in curve]
    finite = [c for c in costs if c is not None and math.isfinite(c)]
    if not costs or len(finite) < len(costs):
        return "diverged", None
    return "ok", _mean(finite[-AVERAGED:])


def _mean(costs: list[float]) -> float:
    """Return the mean, which is finite even where the sum of the costs is not."""
    try:
        return math.fsum(costs) / len(costs)
    except OverflowError:
        return float(sum(map(Fraction, costs)) / len(costs))


def run_name(record_key: dict[str, Any]) -> str:
    """Return the common part of the names of a cell's files.

    It contains a hash of `record_key`, which has suite, task, method, fingerprint and settings: a run with another
    setting never overwrites the file.
    """
    digest = hashlib.sha256(json.dumps(storable(record_key), sort_keys=True).encode()).hexdigest()[:8]
    return "-".join([*(_for_file_name(storable(str(record_key[part]))) for part in ("task", "method")), digest])


def record_path(folder: Path, record_key: dict[str, Any], seed: int) -> Path:
    """Return the path that a run's record has in older folders, which had a file for each."""
    return folder / "records" / f"{run_name(record_key)}-seed{seed}.json"


def _for_file_name(name: str) -> str:
    """Return a name as a part of a file's name, in at most 80 bytes: names of files have at most 255."""
    kept = "".join(c if c.isalnum() or c in "_=." else "_" for c in name)
    return kept.encode()[:80].decode(errors="ignore")


def encode_run(record: RunRecord) -> bytes:
    """Return a record as JSON in one line, without its trajectory.

    Raises TypeError or ValueError for a value that JSON lacks and for a record that could not be read.
    """
    stored = {each.name: getattr(record, each.name) for each in fields(record) if each.compare}
    data = json.dumps(storable(stored), allow_nan=False).encode()
    decode_run(data)
    return data


def storable(value: Any) -> Any:
    """Return a value as JSON and Unicode have it.

    NumPy's numbers become Python's; infinities and NaN become text; half a surrogate pair becomes its escape.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {storable(key): storable(each) for key, each in value.items()}
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


def trajectory_path(folder: Path, record: RunRecord) -> Path:
    """Return the path of a run's trajectory in a folder of results."""
    return folder / "trajectories" / record_path(folder, record.key, record.seed).name


RUN_DECODER = Decoder(RunRecord)


def decode_run(data: bytes) -> RunRecord:
    """Return the record in a JSON text. Raises DecodeError, which says what is wrong with it."""
    record = RUN_DECODER.decode(data)
    wrong = contradiction(record)
    if wrong:
        raise DecodeError(wrong)
    return record


def run_schema() -> str:
    """Return the JSON Schema of a record, which SCHEMA_FILE has."""
    return json.dumps(RUN_DECODER.schema("A run: one seed of a method on a task"), indent=1) + "\n"


def contradiction(record: RunRecord) -> str:
    """Return in words what in a record cannot be true together, "" if nothing is amiss."""
    costs = [point["cost"] for point in record.curve]
    if record.status == "ok" and (record.cost is None or not costs or None in costs):
        return "it is ok without a cost or with an evaluation that has none"
    last = [cost for cost in costs[-AVERAGED:] if cost is not None]
    if record.cost is not None and record.status == "ok":
        rounding = 1e-12 * max(map(abs, last))  # the mean of five equal numbers may differ from them in the last digit
        if not min(last) - rounding <= record.cost <= max(last) + rounding:
            return "its cost is not that of its last evaluations"
    if record.status != "ok" and record.cost is not None:
        return f"it is {record.status} and has a cost"
    for name in ("env_steps", "updates", "train_seconds", "cpu_seconds"):
        counts = [count for point in record.curve if (count := point.get(name)) is not None]
        if any(later < earlier for earlier, later in itertools.pairwise(counts)):
            return f"{name} falls along the curve"
    if record.rescored and not {"adaptive", "finer"} <= record.rescored.keys():
        return "rescored lacks a cost"
    for name in ("horizon", "num_steps"):
        if record.settings["task"].get(name, getattr(record, name)) != getattr(record, name):
            return f"{name} differs from the task's setting"
    for name in ("version", "started", "ended", "device", "precision"):
        if not isinstance(record.provenance.get(name, ""), str):
            return f"provenance.{name} is no text"
    if not isinstance(record.provenance.get("packages", {}), dict):
        return "provenance.packages is no table"
    return ""


def decode_stored(data: bytes, path: Path, line: int | None = None) -> RunRecord:
    """Return the record in a file, or in a line of it.

    Raises RecordError, which names the place and the reason, if it is truncated, garbled, of another schema,
    contradicts itself, or is another run's than the file's name says.
    """
    where = str(path) if line is None else f"{path}, line {line}"
    advice = f"Move {'it' if line is None else 'the line'} away; `bench run` then computes it again."
    try:
        record = decode_run(data)
    except DecodeError as error:
        raise RecordError(f"{where}: not a run record ({error}). {advice}") from error
    named = NAMED_FOR_A_CELL.fullmatch(path.name)
    name = run_name(record.key) if named else ""
    if named and (named["cell"], named["seed"] or str(record.seed)) != (name, str(record.seed)):
        right = f"{name}.jsonl" if named["seed"] is None else f"{name}-seed{record.seed}.json"
        raise RecordError(f"{where}: holds another run, whose file is {right}. {advice}")
    return replace(record, file=path)


def read_record(path: Path) -> RunRecord:
    """Read a file that holds one record. Raises FileNotFoundError and RecordError."""
    return decode_stored(read_file(path), path)
