"""Reference costs of a task on its grid: the floor, mostly the best constant control, and the best known sequence.

They are kept by the task's fingerprint, in the package's `tasks/references.toml` and, for tasks with their own settings
or a user's task, in a file beside a run's records. Reading needs no JAX, so reports start fast.
"""

import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.records import write_atomically

if TYPE_CHECKING:
    from tasks.base import AbstractTask

PACKAGE = Path(__file__).parent.parent / "tasks" / "references.toml"
_sources: list[Path] = [PACKAGE]


@dataclass(frozen=True)
class Reference:
    """Floor and best known cost of one task on one grid, with how they were found.

    `floor` is the cost of the best constant control `floor_control` or, for a task that says so, the mean of random
    control sequences.

    `residual` is the norm of the projected gradient at `controls`, with controls in units of their range and the cost
    in units of its headroom (of its size, where there is none): 0 at a first-order point. `grade` is A (closed form), B
    (two independent routes agree) or C (best known).
    """

    task: str
    horizon: float
    num_steps: int
    fingerprint: str
    floor: float
    floor_control: list[float]
    best: float
    grade: str
    residual: float
    found_by: str
    controls: list[list[float]]

    @property
    def headroom(self) -> float | None:
        """floor - best, or None where it is too small to tell methods apart: at most max(1e-3 |best|, 1e-9)."""
        gap = self.floor - self.best
        return gap if gap > max(1e-3 * abs(self.best), 1e-9) else None


def read(path: Path) -> dict[str, Reference]:
    """References of a file by fingerprint; none if there is no file."""
    if not path.exists():
        return {}
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("reference", [])
    return {entry["fingerprint"]: Reference(**entry) for entry in entries}


def write(path: Path, references: dict[str, Reference]) -> None:
    """Write references atomically, sorted by task and grid."""
    entries = sorted(references.values(), key=lambda r: (r.task, r.horizon, r.num_steps))
    # A JSON string, finite number or array is one of TOML too.
    blocks = ["\n".join(f"{key} = {json.dumps(value)}" for key, value in asdict(entry).items()) for entry in entries]
    head = "# Made by `python -m bench reference`; do not edit.\n"
    write_atomically(path, head + "".join(f"\n[[reference]]\n{block}\n" for block in blocks))


def add_source(path: Path) -> None:
    """Let `lookup` also read the references in `path`."""
    if path not in _sources:
        _sources.append(path)


def known() -> dict[str, Reference]:
    """All references of the package and of the added sources, by fingerprint."""
    return {fingerprint: ref for path in _sources for fingerprint, ref in read(path).items()}


def lookup(task: "AbstractTask") -> Reference:
    """The stored reference of a task. Raises LookupError if there is none."""
    from bench.fingerprint import fingerprint

    found = known().get(fingerprint(task))
    if found is None:
        raise LookupError(
            f"no reference for {type(task).__name__} with horizon {task.horizon} and {task.num_steps} steps. "
            "`bench run` computes it before the first run; in a script call `bench.reference.ensure(name, task, path)`."
        )
    return found


def ensure(name: str, task: "AbstractTask", path: Path) -> Reference:
    """The stored reference of a task, or, computed now and kept in `path`, a new one (seconds to minutes)."""
    add_source(path)
    try:
        return lookup(task)
    except LookupError:
        from bench.shooting import find

        found = find(name, task)
        write(path, read(path) | {found.fingerprint: found})
        return found
