"""Suites: tasks, methods, a number of seeds and a budget, read from TOML and turned into cells. No JAX here."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.budget import Allowance
from bench.errors import UsageError, did_you_mean, shown
from bench.noise import NO_NOISE, Noise
from bench.records.files import read_text

MAX_BYTES = 10**6  # of a suite's file
MAX_SEEDS = 10_000
MAX_GRIDS = 100
MAX_CELLS = 10_000
MAX_STRETCH = 10_000
SHIPPED_FOLDER = Path(__file__).parent / "suites"


class SuiteError(UsageError):
    """A suite that does not exist or is not well formed."""


@dataclass(frozen=True)
class Grid:
    """A grid other than the task's own.

    It is refined, `num_steps` intervals on the same horizon, or extended, horizon and intervals both times `stretch`.
    """

    num_steps: int | None = None
    stretch: int | float | None = None

    def settings(self, horizon: float, num_steps: int) -> dict[str, Any]:
        """Return the fields of a task whose own grid is given. Raises SuiteError if the result is no grid."""
        if self.stretch is None:
            return {"num_steps": self.num_steps}
        steps = num_steps * self.stretch
        if steps != round(steps):
            raise SuiteError(f"stretch {self.stretch} makes {steps} steps of {num_steps}; choose one that divides.")
        return {"horizon": horizon * self.stretch, "num_steps": round(steps)}


@dataclass(frozen=True)
class Cell:
    """A task, a method and a block of seeds.

    Settings map fields to values. Those given for one run (`extra_...`) are also part of the labels of the results, so
    these are never pooled with results under the suite's own settings.
    """

    suite: str
    task: str
    method: str
    seeds: tuple[int, ...]
    allowance: Allowance
    grid: Grid | None = None
    noise: Noise = NO_NOISE
    task_settings: Mapping[str, Any] = field(default_factory=dict)
    method_settings: Mapping[str, Any] = field(default_factory=dict)
    extra_task_settings: Mapping[str, str] = field(default_factory=dict)
    extra_method_settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def task_label(self) -> str:
        return _label(self.task, self.extra_task_settings)

    @property
    def method_label(self) -> str:
        return _label(self.method, self.extra_method_settings)


def _label(name: str, extra: Mapping[str, str]) -> str:
    return name + (f"[{', '.join(f'{k}={v}' for k, v in sorted(extra.items()))}]" if extra else "")


@dataclass(frozen=True)
class Suite:
    """Tasks, methods, seeds and a budget: the contents of a suite's TOML file.

    `num_steps` (refine) or `stretch` (extend) ask for several grids of every task. `starts` says how its episodes
    start, and `noise` how noisy they are. `tuning_tasks` are for `bench tune`; none of them is scored. `settings` maps
    a task's or method's name to fields and values. A method may be in `methods` several times, under its labels: "sac"
    and "sac[batch=64, hold=1]".
    """

    name: str
    description: str
    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: int
    budget: Allowance
    num_steps: tuple[int, ...] = ()
    stretch: tuple[int | float, ...] = ()
    tuning_tasks: tuple[str, ...] = ()
    starts: Literal["fixed", "random"] | None = None
    noise: Noise = NO_NOISE
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def grids(self) -> list[Grid | None]:
        """The grids of every task, each once; None is the task's own."""
        grids = [Grid(num_steps=n) for n in self.num_steps] + [Grid(stretch=s) for s in self.stretch]
        return [*dict.fromkeys(grids)] or [None]

    def cells(
        self,
        tasks: Sequence[str] = (),
        methods: Sequence[str] = (),
        seeds: int | None = None,
        extra: Mapping[str, Mapping[str, str]] | None = None,
    ) -> list[Cell]:
        """Return tasks x grids x methods.

        `tasks`, `methods` and `seeds` replace the suite's own; `extra` are further settings by name. Raises SuiteError.
        """
        extra = extra or {}
        if seeds is not None:
            check_seeds(seeds)
        block = tuple(range(self.seeds if seeds is None else seeds))
        chosen_tasks, labels = dict.fromkeys(tasks or self.tasks), dict.fromkeys(methods or self.methods)
        if (number := len(chosen_tasks) * len(self.grids) * len(labels)) > MAX_CELLS:
            raise SuiteError(
                f"{self.name}: a run has at most {MAX_CELLS} cells, got {len(chosen_tasks)} tasks x {len(self.grids)} "
                f"grids x {len(labels)} methods = {number}. Split the suite."
            )
        return [
            Cell(
                self.name,
                task,
                method,
                block,
                self.budget,
                grid,
                self.noise,
                ({"starts": self.starts} if self.starts else {}) | dict(self.settings.get(task, {})),
                self.settings.get(method, {}),
                extra.get(task, {}),
                {**own, **extra.get(method, {})},
            )
            for task in chosen_tasks
            for grid in self.grids
            for method, own in map(_parse_label, labels)
        ]


def names() -> list[str]:
    """Return the names of the shipped suites."""
    return sorted(path.stem for path in SHIPPED_FOLDER.glob("*.toml"))


def load(name: str) -> Suite:
    """Load a shipped suite by name, or any suite by the path of its TOML file. Raises SuiteError."""
    path = Path(name) if name.endswith(".toml") else SHIPPED_FOLDER / f"{name}.toml"
    try:
        data = tomllib.loads(read_text(path, MAX_BYTES))
        budget = Allowance(**_checked(path, "budget", data.pop("budget", {}), Allowance))
        noise = Noise(**_checked(path, "noise", data.pop("noise", {}), Noise))
        contents = _checked(path, "suite", data, Suite, given=("budget", "noise"), filled_in=("name",))
        _check_types(contents)
        suite = Suite(name=path.stem, budget=budget, noise=noise, **contents)
    except FileNotFoundError:
        raise SuiteError(did_you_mean("suite", name, names()) + " A path to a .toml file works too.") from None
    except (tomllib.TOMLDecodeError, OSError, RecursionError, TypeError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SuiteError(reason if reason.startswith(f"{path}: ") else f"{path}: {reason}") from error
    if scored := sorted({*suite.tasks} & {*suite.tuning_tasks}):
        raise SuiteError(
            f"{path}: {', '.join(scored)} stands in tasks and in tuning_tasks. Scores on a task that settings were "
            "chosen on say nothing: tune on others."
        )
    return suite


def _check_types(contents: Mapping[str, Any]) -> None:
    """Raise ValueError for a value of the wrong type or range, and for settings of a name that is not in the suite."""
    for key, (accepts, kind) in ENTRIES.items():
        values = contents.get(key, ())
        if not isinstance(values, tuple) or not all(map(accepts, values)):
            raise ValueError(f"{key} must be a list of {kind}, got {shown(values)}.")
    for key in ("tasks", "methods"):
        if not contents[key]:
            raise ValueError(f"{key} must name at least one, got an empty list.")
    for key in ("num_steps", "stretch"):
        if len(contents.get(key, ())) > MAX_GRIDS:
            raise ValueError(f"{key} must name at most {MAX_GRIDS} grids, got {len(contents[key])}.")
    check_seeds(contents["seeds"])
    if not isinstance(contents["description"], str):
        raise ValueError(f"description must be text, got {shown(contents['description'])}.")
    if contents.get("starts", "fixed") not in ("fixed", "random"):
        raise ValueError(f"starts must be 'fixed' or 'random', got {shown(contents['starts'])}.")
    settings = contents.get("settings", {})
    if not isinstance(settings, Mapping) or not all(isinstance(fields, Mapping) for fields in settings.values()):
        raise ValueError(f"settings must be a table for each task or method, got {shown(settings)}.")
    methods = [_parse_label(method)[0] for method in contents["methods"]]
    known = dict.fromkeys([*contents["tasks"], *contents.get("tuning_tasks", ()), *methods])
    for name in settings:
        if name not in known:
            raise ValueError(did_you_mean("task or method in settings:", name, known))


def check_seeds(seeds: Any) -> None:
    """Raise SuiteError for a number of seeds that cannot run."""
    if not _is_whole(seeds) or seeds > MAX_SEEDS:
        raise SuiteError(f"seeds must be a whole number of at least 1 and at most {MAX_SEEDS}, got {shown(seeds)}.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_factor(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MAX_STRETCH


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


# The lists of a suite: what their entries must be, in code and in words.
ENTRIES = {
    "tasks": (_is_name, "names"),
    "methods": (_is_name, "names"),
    "tuning_tasks": (_is_name, "names"),
    "num_steps": (_is_whole, "whole numbers of at least 1"),
    "stretch": (_is_factor, f"numbers above 0 and at most {MAX_STRETCH}"),
}


def _parse_label(text: str) -> tuple[str, dict[str, str]]:
    """Return a method's name and settings, given its label."""
    name, bracket, inside = text.partition("[")
    pairs = [pair.partition("=") for pair in inside.removesuffix("]").split(",")] if bracket else []
    if bracket and (not inside.endswith("]") or not all(key.strip() and equals for key, equals, _ in pairs)):
        raise SuiteError(f"a method with settings is written 'name[field=value, ...]', got '{text}'.")
    return name, {key.strip(): value.strip() for key, _, value in pairs}


def _checked(
    path: Path, what: str, data: Any, kind: type, given: tuple[str, ...] = (), filled_in: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return `data` with tuples for lists. Raises SuiteError if a key is no field of `kind`, or one is missing.

    The fields that are `given` have been taken out of `data`, and those that are `filled_in` are never in it.
    """
    if not isinstance(data, Mapping):
        raise SuiteError(f"{path}: the {what} must be a table, got {shown(data)}.")
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name not in given + filled_in}
    for key in data:
        if key not in fields:
            raise SuiteError(f"{path}: {did_you_mean(f'{what} key', key, (*fields, *given))}")
    for name, f in fields.items():
        if name not in data and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise SuiteError(f"{path}: the {what} needs '{name}'.")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
