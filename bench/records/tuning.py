"""Results of tuning: for each method its number of trials and the best of them. No JAX.

The package's results are in `baselines/tuned.toml`. A file of that name beside a run's records is for methods of one's
own. A method runs with the defaults in its own file: a result has no effect before somebody writes it there, and a test
compares the two.
"""

import json
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from bench.errors import UsageError
from bench.records.decode import DecodeError, Decoder, Name, Size, check
from bench.records.files import RecordError, read_text, write_atomically
from bench.records.run import RunRecord

PACKAGE_FILE = Path(__file__).parents[2] / "baselines" / "tuned.toml"
FILE_NAME = "tuned.toml"  # beside the records of a run
TABLES = ("best", "searches")  # fields that are tables of their own in a file


ClippedScore = Annotated[float, Meta(ge=-1, le=1)]


@dataclass(frozen=True)
class Tuning:
    """Result of a search: `trials` trials of a method, the first with its defaults, with `seeds` seeds on `tasks`.

    Scores are means over tasks and seeds, clipped to [-1, 1]; a run that did not finish counts -1. `best` has the best
    values of all settings that were searched. `searches` has the number of trials of every search for the method so
    far, this one included, by the search's name: whoever searches again has seen them.
    """

    method: Name
    suite: Name
    tasks: list[Name]
    seeds: Size
    trials: Size
    default_score: ClippedScore
    best_score: ClippedScore
    date: str
    best: dict[str, Any]
    searches: dict[str, int] = field(default_factory=dict)

    @property
    def all_trials(self) -> int:
        """The number of trials of all searches; an older file knows only those of the last."""
        return max(self.trials, sum(self.searches.values()))

    def after(self, earlier: "Tuning") -> "Tuning":
        """The tuning with the searches of an `earlier` one counted too; a search that went on is counted once."""
        before = earlier.searches or {f"of {earlier.date}": earlier.trials}
        names = {**before, **self.searches}
        return replace(self, searches={n: max(before.get(n, 0), self.searches.get(n, 0)) for n in names})

    def matches(self, settings: Mapping[str, Any]) -> bool:
        """Return whether a method's settings are the best ones, to three digits: its file need not show more."""
        return all(name in settings and _close(settings[name], value) for name, value in self.best.items())

    def was_used_in(self, runs: Iterable[RunRecord]) -> bool:
        """Return whether these runs had the best settings."""
        return all(self.matches(run.settings["method"]) for run in runs)


_DECODER = Decoder(Tuning)


def _close(one: Any, other: Any) -> bool:
    return math.isclose(one, other, rel_tol=5e-3) if isinstance(one, float) else one == other


def read_tunings(path: Path) -> dict[str, Tuning]:
    """Read the tunings of a file by method; none if there is no file. Raises UsageError if it is malformed."""
    try:
        entries = check(tomllib.loads, read_text(path))
        return {name: _DECODER.convert(check(dict, entry, method=name)) for name, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except RecordError as error:
        raise UsageError(f"{error} Move it away; `bench tune` writes a file of tunings.") from error
    except DecodeError as error:
        raise UsageError(f"{path}: no file of tunings ({error}). `bench tune` writes one.") from error


def store_tuning(path: Path, tuning: Tuning) -> None:
    """Write a tuning into a file, in place of an older one of the same method, whose trials it counts."""
    entries = read_tunings(path)
    earlier = entries.get(tuning.method)
    entries[tuning.method] = tuning.after(earlier) if earlier else tuning
    blocks = ["\n".join(_lines(entries[method])) for method in sorted(entries)]
    head = "# Made by `python -m bench tune`; do not edit.\n"
    write_atomically(path, head + "".join(f"\n{block}\n" for block in blocks))


def _lines(tuning: Tuning) -> Iterator[str]:
    # JSON's strings, finite numbers, truth values and arrays of these are valid TOML too.
    name = json.dumps(tuning.method)
    yield f"[{name}]"
    for key, value in asdict(tuning).items():
        if key not in ("method", *TABLES):
            yield f"{key} = {json.dumps(value)}"
    for table in TABLES:
        yield f"[{name}.{table}]"
        yield from (f"{json.dumps(key)} = {json.dumps(value)}" for key, value in getattr(tuning, table).items())


def known_tunings(folder: Path) -> Mapping[str, Tuning]:
    """Return the package's tunings, and those beside the records in a folder, which take precedence."""
    return read_tunings(PACKAGE_FILE) | read_tunings(folder / FILE_NAME)
