"""Reference costs of a task on its grid: the floor, mostly the best constant control, and the best known sequence.

They are kept by the task's fingerprint, in the package's `tasks/references.toml` and, for tasks with their own settings
or a user's task, in a file beside a run's records. Reading needs no JAX, so reports start fast.
"""

import json
import statistics
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from bench.records.files import write_atomically

PACKAGE = Path(__file__).parents[2] / "tasks" / "references.toml"
FILE_NAME = "references.toml"  # beside the records of a run
NUM_STARTS = 16  # of an evaluation, where starts are random
AGREEMENT_RTOL = (
    1e-4  # relative; the routes differ by solver tolerances and by the errors of two integrators, at most 1e-6
)
SEQUENCES = ("controls", "states")  # kept as JSON within a string, which is read 50 times as fast as arrays of TOML


@dataclass(frozen=True)
class Reference:
    """Floor and best known cost of one task on one grid, with how they were found.

    `floor` is the cost of the best constant control `floor_control` or, for a task that says so, the mean of random
    control sequences.

    `residual` is the norm of the projected gradient at `controls`, with controls in units of their range and the cost
    in units of its headroom (of its size, where there is none): 0 at a first-order point. `second_order` says whether
    the Hessian has no negative eigenvalue there, None where that was not found out. `grade` is A (a formula is met), B
    (both routes reach `best` to AGREEMENT) or C (best known).

    `single_shooting` and `multiple_shooting` are the costs that the two routes reached from their starts, each on its
    own (the last one of single shooting continues its best); None where the second was not tried, as for tasks with
    one's own settings. `states`, at the knots, is there if the optimum is so unstable that rounding makes `controls`
    alone lose it: then each interval starts from its knot, and the residual is that of the Lagrangian.

    `start` is where the episode begins, for one of the STARTS of a task with random starts; None: at the task's own.
    `integration_error` (relative) and `lyapunov` (finite-time exponent times horizon): `bench.reference.difficulty`.
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
    single_shooting: list[float]
    multiple_shooting: list[float] | None = None
    second_order: bool | None = None
    states: list[list[float]] | None = None
    start: list[float] | None = None
    integration_error: float | None = None
    lyapunov: float | None = None

    @property
    def key(self) -> str:
        return key_of(self.fingerprint, self.start)

    @property
    def is_complete(self) -> bool:
        """Whether both routes were taken and, for the task's own start, its difficulty was measured."""
        return self.multiple_shooting is not None and (self.start is not None or self.lyapunov is not None)

    @property
    def difference(self) -> float | None:
        """How far from the best cost the worse of the two routes alone ended, relative; None without two results."""
        if not self.multiple_shooting:
            return None
        return max(self._relative(min(costs)) for costs in (self.single_shooting, self.multiple_shooting))

    @property
    def spread(self) -> float:
        """How far from the best cost the median start of both routes ended, relative."""
        return self._relative(statistics.median([*self.single_shooting, *(self.multiple_shooting or [])]))

    def _relative(self, cost: float) -> float:
        return abs(cost - self.best) / cost_size(self.floor, self.best)

    @property
    def headroom(self) -> float | None:
        """floor - best, or None where it is too small to tell methods apart: at most max(1e-3 |best|, 1e-9)."""
        gap = self.floor - self.best
        return gap if gap > max(1e-3 * abs(self.best), 1e-9) else None


def key_of(fingerprint: str, start: list[float] | None) -> str:
    """What tells a reference from all others: the task's fingerprint, and the start if it is one of several."""
    return fingerprint if start is None else f"{fingerprint} {json.dumps(start)}"


def cost_unit(floor: float, best: float) -> float:
    """The headroom, as the unit of cost in which a gradient is small or not; the cost's size where there is none."""
    return floor - best if floor - best > 1e-9 else max(abs(best), 1e-9)


def cost_size(floor: float, best: float) -> float:
    """What relative means for a cost: |best|, or a thousandth of the headroom where the best cost is about 0."""
    return max(abs(best), 1e-3 * cost_unit(floor, best))


def read_references(path: Path) -> dict[str, Reference]:
    """References of a file by key; none if there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return {}
    return dict(_parsed(path, found.st_ino, found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=16)
def _parsed(path: Path, *_of_its_content: int) -> dict[str, Reference]:
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("reference", [])
    for entry in entries:
        entry |= {key: json.loads(entry[key]) for key in SEQUENCES if key in entry}
    return {reference.key: reference for reference in (Reference(**entry) for entry in entries)}


def write_references(path: Path, references: dict[str, Reference]) -> None:
    """Write references atomically, sorted by task and grid."""
    entries = sorted(references.values(), key=lambda r: (r.task, r.horizon, r.num_steps, r.key))
    blocks = ["\n".join(_lines(entry)) for entry in entries]
    head = "# Made by `python -m bench reference`; do not edit.\n"
    write_atomically(path, head + "".join(f"\n[[reference]]\n{block}\n" for block in blocks))


def _lines(entry: Reference) -> Iterator[str]:
    for key, value in asdict(entry).items():
        if value is not None:
            # A JSON string, truth value, finite number or array is one of TOML too.
            text = json.dumps(value)
            yield f"{key} = '{text}'" if key in SEQUENCES else f"{key} = {text}"


def over_starts(group: Sequence[Reference]) -> Reference:
    """What scores of mean costs over these starts refer to: the mean floor, one best constant for each start, and the
    mean best cost; the worst grade and residual."""
    if len(group) == 1:
        return group[0]
    return replace(
        group[0],
        floor=statistics.fmean(r.floor for r in group),
        best=statistics.fmean(r.best for r in group),
        grade=max(r.grade for r in group),
        residual=max(r.residual for r in group),
        start=None,
    )


@dataclass(frozen=True)
class References:
    """Known references by key. Whoever starts builds this value once and hands it on."""

    by_key: Mapping[str, Reference]

    @classmethod
    def shipped(cls) -> "References":
        """The references of the package."""
        return cls(read_references(PACKAGE))

    @classmethod
    def beside(cls, folder: Path) -> "References":
        """The references of the package and those stored in a folder of results, which take precedence."""
        return cls.shipped().updated(read_references(folder / FILE_NAME).values())

    def updated(self, references: Iterable[Reference]) -> "References":
        """These references and the given ones, which take precedence."""
        return References({**self.by_key, **{r.key: r for r in references}})

    def of(self, fingerprint: str) -> tuple[Reference, ...]:
        """Every reference of a task: one, or one for each start of its evaluation."""
        return tuple(r for r in self.by_key.values() if r.fingerprint == fingerprint)

    def by_fingerprint(self) -> dict[str, Reference]:
        """The reference of each task; over several starts their mean, and none while some starts are missing."""
        groups: dict[str, list[Reference]] = {}
        for reference in self.by_key.values():
            groups.setdefault(reference.fingerprint, []).append(reference)
        return {f: over_starts(group) for f, group in groups.items() if len(group) in (1, NUM_STARTS)}
