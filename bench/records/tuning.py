"""What tuning found, method by method: how many trials each was given, and the best of them. No JAX.

The package's results are in `baselines/tuned.toml`; a file of that name beside a run's records is for methods of one's
own. A method runs with the defaults that its own file shows: a result has no effect before somebody writes it there,
and a test compares the two.
"""

import json
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.records.files import write_atomically
from bench.records.run import RunRecord

PACKAGE = Path(__file__).parents[2] / "baselines" / "tuned.toml"
NAME = "tuned.toml"


@dataclass(frozen=True)
class Tuning:
    """`trials` settings of a method, the first of them its defaults, each run with `seeds` seeds on `tasks`.

    Scores are means over tasks and seeds, clipped to [-1, 1], with -1 for a run that did not finish. `best` has the
    values of all settings that were searched.
    """

    method: str
    suite: str
    tasks: list[str]
    seeds: int
    trials: int
    default_score: float
    best_score: float
    date: str
    best: dict[str, Any]

    def is_setting(self, settings: Mapping[str, Any]) -> bool:
        """Whether a method's settings are the best one, numbers to three digits: its file need not show more."""
        return all(name in settings and _alike(settings[name], value) for name, value in self.best.items())

    def was_used_in(self, runs: Iterable[RunRecord]) -> bool:
        """Whether these runs had the best setting."""
        return all(self.is_setting(run.settings["method"]) for run in runs)


def _alike(one: Any, other: Any) -> bool:
    return math.isclose(one, other, rel_tol=5e-3) if isinstance(one, float) else one == other


def read_tunings(path: Path) -> dict[str, Tuning]:
    """The tunings of a file by method, none if there is no file. Raises UsageError if it is not well formed."""
    if not path.exists():
        return {}
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
        return {method: Tuning(method, **entry) for method, entry in entries.items()}
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise UsageError(f"{path}: no file of tunings ({error}). `bench tune` writes one.") from error


def store_tuning(path: Path, tuning: Tuning) -> None:
    """Write a tuning into a file, in place of an older one of the same method."""
    entries = read_tunings(path) | {tuning.method: tuning}
    blocks = ["\n".join(_lines(entries[method])) for method in sorted(entries)]
    head = "# Made by `python -m bench tune`; do not edit.\n"
    write_atomically(path, head + "".join(f"\n{block}\n" for block in blocks))


def _lines(tuning: Tuning) -> Iterator[str]:
    # A JSON string, finite number, truth value or array of these is one of TOML too.
    name = json.dumps(tuning.method)
    yield f"[{name}]"
    for key, value in asdict(tuning).items():
        if key not in ("method", "best"):
            yield f"{key} = {json.dumps(value)}"
    yield f"[{name}.best]"
    yield from (f"{json.dumps(key)} = {json.dumps(value)}" for key, value in tuning.best.items())


def known_tunings(folder: Path) -> Mapping[str, Tuning]:
    """The package's tunings, and those beside the records in a folder, which go before them."""
    return read_tunings(PACKAGE) | read_tunings(folder / NAME)
