"""The page's list of runs: one line for each, where it comes from, and the settings that ran. No JAX here."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bench.analysis.rows import RunRow
from bench.report.shown import show_number, show_percent
from bench.report.text import METHOD, number_column, text_column

ERROR_CHARACTERS = 400  # the end of a failed run's message, which the list of runs shows


RUN_COLUMNS = (
    text_column("suite", "the suite that the run belongs to"),
    text_column("task", "name of the task"),
    number_column("steps", "control intervals of the task's grid"),
    METHOD,
    number_column("seed", "seed of the run"),
    text_column("status", "ok, diverged or failed"),
    number_column("cost", "mean of the last five evaluations"),
    number_column("score", "unclipped"),
    number_column("gap", "largest change of the final cost when an adaptive solver, or a finer grid, scores it again"),
    number_column("miss", "largest distance to an end-state target, of the state's range"),
    number_column("violation", "largest violation of a constraint, of its range"),
    number_column("train s", "seconds of training, without compilation and evaluation"),
    text_column("started", "time at which the run began"),
    number_column("origin", "number of the line above that says what made the run"),
)


ORIGIN_COLUMNS = (
    number_column("origin", "number by which the list of runs names this line"),
    text_column("version", "version of this package"),
    text_column("commit", "commit of this package"),
    text_column("tree", "whether files were changed since that commit"),
    text_column("device", "the processor that the runs were computed on"),
    text_column("precision", "floating-point numbers of the training"),
)


class Origin(NamedTuple):
    """What made a run: version and commit of this package, whether files were changed since, device, precision."""

    version: str | None
    commit: str | None
    dirty: bool | None
    device: str | None
    precision: str | None


def origin_of(run: RunRow) -> Origin:
    return Origin(run.version, run.commit, run.dirty, run.device, run.precision)


def run_line(run: RunRow, origin: int) -> list[Any]:
    """The cells of RUN_COLUMNS for a run, then its error; page.js makes a line of the list of runs from them.

    A cell whose text does not sort like its value has both: [value, text].
    """
    return [
        run.suite,
        run.task,
        run.num_steps,
        run.method,
        run.seed,
        run.status,
        show_number(run.cost),
        show_number(run.score, digits=4),
        [sort_key(run.cost_gap), show_percent(run.cost_gap)],
        [sort_key(run.end_miss), show_percent(run.end_miss)],
        [sort_key(run.violation), show_percent(run.violation)],
        show_number(run.train_seconds, digits=3),
        (run.started or "")[:16],
        origin,
        run.error[-ERROR_CHARACTERS:],
    ]


def setting_texts(runs: Sequence[RunRow]) -> Iterator[tuple[str, str]]:
    """Every setting of every cell as text: first of the methods, then of the tasks and budgets.

    Cells of a method with the same settings stand together.
    """
    first_of_cell: dict[tuple[str, str, int, str], RunRow] = {}
    for run in runs:
        first_of_cell.setdefault((run.suite, run.task, run.num_steps, run.method), run)
    methods: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    tasks: dict[str, str] = {}
    for run in first_of_cell.values():
        grid = f"{run.task} ({run.num_steps} steps)"
        methods[run.method, json.dumps(run.settings.get("method", {}), indent=1)][grid] = None
        of_task = {name: run.settings.get(name, {}) for name in ("task", "budget")}
        tasks.setdefault(f"{run.suite}: {grid}", json.dumps(of_task, indent=1))
    for (method, settings), grids in methods.items():
        yield f"{method} on {', '.join(grids)}", settings
    yield from tasks.items()


def sort_key(value: int | float | None) -> str:
    """A number in full, by which the page sorts; empty where there is none."""
    if value is None or math.isnan(value):
        return ""
    return repr(float(value)).replace("inf", "Infinity")
