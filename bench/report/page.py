"""One HTML page that holds everything: tables to sort and filter, charts with values, how numbers are made, provenance.

Nothing is fetched when it is read: styles, scripts and values are inside, and the page forbids itself the network.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.stats import Floats
from bench.errors import UsageError
from bench.report.charts import Chart, curves, horizon, methods, profiles, targets, trajectories
from bench.report.plots import colour, stroke
from bench.report.text import count, missing, number, percent, rank, tuned

FOLDER = Path(__file__).parent / "templates"
SCRIPTS = ("draw.js", "page.js")
STAMP = ("version", "commit", "dirty", "device", "precision")


def html_page(board: Leaderboard) -> str:
    """The page. Raises UsageError without Jinja."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise UsageError("the HTML page needs Jinja: pip install 'myriad-bench[report]'.") from error

    order = methods(board)

    def figure(chart: Chart) -> Mapping[str, Any]:
        return {"chart": chart, "caption": chart.title, "data": _data(chart, order, chart.y_label)}

    def episode(chart: Chart) -> Mapping[str, Any]:
        """Under its own task's heading: what it shows is caption enough."""
        return {"chart": chart, "caption": chart.y_label, "data": _data(chart, order, "")}

    aggregate, pairs, cells = (table.to_dict("records") for table in (board.aggregate, board.pairs, board.rows))
    suites = [
        {
            "name": suite,
            "aggregate": of(aggregate, suite=suite),
            "pairs": _matrix(of(pairs, suite=suite)),
            "figures": [figure(c) for make in (profiles, targets) for c in make(board) if c.place["suite"] == suite],
            "misses": any(r["end_miss"] > 0 for r in of(cells, suite=suite)),
            "tasks": [],
            "horizons": [figure(c) for c in horizon(board) if c.place["suite"] == suite],
        }
        for suite in dict.fromkeys(board.rows["suite"])
    ]
    drawn = {tuple(c.place.values()): c for c in curves(board)}
    episodes = defaultdict(list)
    for chart in trajectories(board):
        episodes[tuple(chart.place.values())].append(chart)
    for suite in suites:
        for task, steps in dict.fromkeys((r["task"], r["num_steps"]) for r in of(cells, suite=suite["name"])):
            chart = drawn.get((suite["name"], task, steps))
            rows = of(cells, suite=suite["name"], task=task, num_steps=steps)
            suite["tasks"].append(
                {
                    "name": task,
                    "num_steps": steps,
                    "rows": rows,
                    "figure": figure(chart) if chart else None,
                    "misses": any(r["end_miss"] > 0 for r in rows),
                    "episodes": [episode(c) for c in episodes[suite["name"], task, steps]],
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
    environment.filters |= {
        "number": number,
        "rank": rank,
        "tuned": tuned,
        "percent": percent,
        "count": count,
        "plain": _plain,
        "figures": _figures,
    }
    return environment.get_template("page.html.j2").render(
        suites=suites,
        methods=[_legend(i, name) for i, name in enumerate(order)],
        tasks=list(dict.fromkeys(board.rows["task"])),
        notes=board.notes,
        diagnostics=board.diagnostics,
        stamps=stamps,
        runs=runs,
        settings=_settings(board),
        seeds=sorted({int(n) for n in board.rows["seeds"]}),
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        script=Markup("".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)),
    )


def of(lines: list[dict[str, Any]], **values: Any) -> list[dict[str, Any]]:
    """The lines of a table that have these values."""
    return [line for line in lines if all(line[name] == value for name, value in values.items())]


def _legend(i: int, name: str) -> dict[str, Any]:
    """How the i-th method is drawn, in words of CSS."""
    kind = stroke(i)[1]
    dashes = {"solid": "none", "dashed": "5 2", "dotted": "1.3 1.6"}[kind]
    return {"name": name, "colour": colour(i), "stroke": kind, "dashes": dashes, "i": i}


def _data(chart: Chart, order: list[str], y_label: str) -> dict[str, Any]:
    """What draw.js draws: curves by the number of their method (none: the best known); `xs` if all share them."""
    common = all(np.array_equal(series.x, chart.series[0].x) for series in chart.series)
    lines = []
    for series in chart.series:
        shown = {"x": None if common else series.x, "y": series.y, "low": series.low, "high": series.high}
        number = None if series.method is None else order.index(series.method)
        lines.append({"m": number, **{name: _short(values) for name, values in shown.items() if values is not None}})
    return {
        "series": lines,
        "xs": _short(chart.series[0].x) if common else None,
        "x_label": chart.x_label,
        "y_label": y_label,
        "log": chart.log_x and any(bool(np.any(series.x > 0)) for series in chart.series),
        "held": chart.held,
        "target": chart.target,
    }


def _short(values: Floats) -> list[float]:
    """Four digits: what a reader sees of a value."""
    return [float(f"{v:.4g}") for v in values]


def _matrix(pairs: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    table: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for pair in pairs:
        table[pair["method"]][pair["other"]] = pair
    return table


def _provenance(board: Leaderboard) -> tuple[list[tuple], list[list[Any]]]:
    """The different origins of runs, and the cells of a line for each run, the last being its error. A cell whose text
    does not sort as its value does has both."""
    columns = {name: board.runs[name].tolist() for name in board.runs}
    origins = list(zip(*(columns[name] for name in STAMP), strict=True))
    number_of = {origin: i for i, origin in enumerate(dict.fromkeys(origins), start=1)}

    def share(value: float) -> list[str]:
        return [_figures(value), percent(value)]

    shown: dict[str, Callable[[Any], Any]] = {
        "suite": str,
        "task": str,
        "num_steps": int,
        "method": str,
        "seed": int,
        "status": str,
        "cost": _plain,
        "score": partial(_plain, digits=4),
        "cost_gap": share,
        "end_miss": share,
        "train_seconds": partial(_plain, digits=3),
        "started": lambda time: (time or "")[:16],
    }
    cells = [list(map(show, columns[name])) for name, show in shown.items()]
    errors = [error[-400:] for error in columns["error"]]
    return list(number_of), [list(line) for line in zip(*cells, map(number_of.get, origins), errors, strict=True)]


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


def _plain(value: Any, digits: int = 6) -> str:
    """A number that is no score, empty where there is none."""
    return "" if missing(value) else f"{value:.{digits}g}"


def _figures(value: Any) -> str:
    """A number for sorting, in full; empty where there is none."""
    return "" if missing(value) else repr(float(value)).replace("inf", "Infinity")
