"""One HTML page that holds everything: tables to sort and filter, charts with values, how numbers are made, provenance.

Nothing is fetched when it is read: styles, scripts and drawings are inside, and the page forbids itself the network.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UsageError
from bench.leaderboard import Leaderboard
from bench.report.charts import Chart, Series, curves, horizon, methods, profiles, targets
from bench.report.display import number, rank
from bench.report.plots import colour, stroke, svg
from bench.stats import Floats

FOLDER = Path(__file__).parent / "page"
STAMP = ("version", "commit", "dirty", "device", "precision")


def page(board: Leaderboard) -> str:
    """The page. Raises UsageError without Jinja or matplotlib."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise UsageError("the HTML page needs Jinja: pip install 'myriad-bench[report]'.") from error

    order = methods(board)
    numbers = iter(range(10_000))

    def figure(chart: Chart) -> Mapping[str, Any]:
        i = next(numbers)
        drawing, axes = svg(chart, order, i)
        data = {**axes, "series": [_data(series, order) for series in chart.series]}
        return {"chart": chart, "svg": Markup(drawing), "data": data, "number": i}

    suites = [
        {
            "name": suite,
            "aggregate": of(board.aggregate, suite=suite),
            "pairs": _matrix(of(board.pairs, suite=suite)),
            "figures": [figure(c) for make in (profiles, targets) for c in make(board) if c.place["suite"] == suite],
            "tasks": [],
            "horizons": [figure(c) for c in horizon(board) if c.place["suite"] == suite],
        }
        for suite in dict.fromkeys(board.rows["suite"])
    ]
    drawn = {tuple(c.place.values()): c for c in curves(board)}
    for suite in suites:
        for task, steps in dict.fromkeys((r["task"], r["num_steps"]) for r in of(board.rows, suite=suite["name"])):
            chart = drawn.get((suite["name"], task, steps))
            suite["tasks"].append(
                {
                    "name": task,
                    "num_steps": steps,
                    "rows": of(board.rows, suite=suite["name"], task=task, num_steps=steps),
                    "figure": figure(chart) if chart else None,
                }
            )
    stamps, runs = _provenance(board)
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "rank": rank, "plain": _plain, "figures": _figures}
    return environment.get_template("page.html.j2").render(
        suites=suites,
        methods=[{"name": name, "colour": colour(i), "stroke": stroke(i)[1], "i": i} for i, name in enumerate(order)],
        tasks=list(dict.fromkeys(board.rows["task"])),
        notes=board.notes,
        diagnostics=board.diagnostics,
        stamps=stamps,
        runs=runs,
        settings=_settings(board),
        seeds=sorted({int(n) for n in board.rows["seeds"]}),
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup((FOLDER / "page.js").read_text(encoding="utf-8")),
    )


def of(table: Any, **values: Any) -> list[dict[str, Any]]:
    """The lines of a table that have these values."""
    return [line for line in table.to_dict("records") if all(line[name] == value for name, value in values.items())]


def _data(series: Series, order: list[str]) -> dict[str, Any]:
    bands = {"low": series.low, "high": series.high}
    shown = {"x": series.x, "y": series.y, **{name: b for name, b in bands.items() if b is not None}}
    return {"m": order.index(series.method), **{name: _short(values) for name, values in shown.items()}}


def _short(values: Floats) -> list[float]:
    """Four digits: what a reader sees of a value."""
    return [float(f"{v:.4g}") for v in values]


def _matrix(pairs: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    table: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for pair in pairs:
        table[pair["method"]][pair["other"]] = pair
    return table


def _provenance(board: Leaderboard) -> tuple[list[tuple], list[dict[str, Any]]]:
    """The different origins of runs, and the runs with the number of theirs."""
    runs = board.runs.replace({np.nan: None}).to_dict("records")
    stamps = list(dict.fromkeys(tuple(run[name] for name in STAMP) for run in runs))
    return stamps, [{**run, "stamp": stamps.index(tuple(run[name] for name in STAMP)) + 1} for run in runs]


def _settings(board: Leaderboard) -> Iterator[tuple[str, str]]:
    """Every setting of every cell as text, cells of a method with the same settings together."""
    cells: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in board.runs.drop_duplicates(["suite", "task", "num_steps", "method"]).to_dict("records"):
        method = json.dumps(run["settings"].get("method", {}), indent=1)
        cells[run["method"], method].append(f"{run['task']} ({run['num_steps']} steps)")
    for (method, settings), places in cells.items():
        yield f"{method} on {', '.join(dict.fromkeys(places))}", settings
    tasks: dict[str, str] = {}
    for run in board.runs.drop_duplicates(["suite", "task", "num_steps"]).to_dict("records"):
        own = {name: run["settings"].get(name, {}) for name in ("task", "budget")}
        tasks[f"{run['suite']}: {run['task']} ({run['num_steps']} steps)"] = json.dumps(own, indent=1)
    yield from tasks.items()


def _plain(value: int | float | None, digits: int = 6) -> str:
    """A number that is no score, empty where there is none."""
    return "" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def _figures(value: int | float | None) -> str:
    """A number for sorting, in full; empty where there is none."""
    return "" if value is None or math.isnan(value) else repr(float(value))
