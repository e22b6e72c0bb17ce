"""A leaderboard as one HTML page: tables to sort and filter, charts with values, how numbers are made, provenance.

The page fetches nothing when it is read: styles, scripts and values are inside, and it forbids itself the network. No
JAX here.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.rows import RunRow, from_frame
from bench.errors import UsageError
from bench.machine.printing import printable
from bench.report.charts import methods
from bench.report.overview import CELL, show_estimate
from bench.report.page_runs import ORIGIN_COLUMNS, RUN_COLUMNS, origin_of, run_line, setting_texts, sort_key
from bench.report.page_sections import AREA_COLUMNS, method_styles, suite_sections
from bench.report.palette import places
from bench.report.shown import show_count, show_interval, show_number, show_percent, show_rank, show_score, show_trials
from bench.report.text import AGGREGATE_COLUMNS, COVERAGE, TASK_COLUMNS, Column

if TYPE_CHECKING:
    from jinja2 import Environment, Template

FOLDER = Path(__file__).parent / "templates"
SCRIPTS = ("draw.js", "filter.js", "highlight.js", "page.js")
PARTS = "parts.css"  # the style of what is on a page, for the site too
NO_LINKS: Mapping[str, str] = {"how": "#how"}

# The choice "metric" above the tables shows the columns of one group; columns of no group are always shown.
GROUPS = {
    **dict.fromkeys(("IQM", "mean", "won", "unclipped"), "score"),
    "cost": "cost",
    **dict.fromkeys(("curve area", "by updates", "by seconds"), "auc"),
    "failed": "failed",
    **dict.fromkeys(("gap", "gaps", "miss", "misses", "violation", "violations"), "marks"),
    **dict.fromkeys(("env steps", "steps simulated to act", "train s"), "spent"),
}


def html_page(board: Leaderboard) -> str:
    """Write the page. Raises UsageError without Jinja."""
    template = page_template("page.html.j2")
    from markupsafe import Markup

    return template.render(page_context(board), style=Markup(page_style()), script=Markup(page_script()))


def page_context(board: Leaderboard, links: Mapping[str, str] = NO_LINKS) -> dict[str, Any]:
    """What the templates of a page and of its parts read.

    Args:
        links: addresses of the pages of methods by their names, and of "how", which explains the numbers.
    """
    of = places(methods(board))
    runs = from_frame(RunRow, board.runs)
    origins = {origin: i for i, origin in enumerate(dict.fromkeys(map(origin_of, runs)), start=1)}
    return {
        "suites": suite_sections(board, of),
        "methods": method_styles(of),
        "index": of,
        "links": links,
        "tasks": list(dict.fromkeys(board.rows["task"])),
        "notes": board.notes,
        "diagnostics": board.diagnostics,
        "origins": origins,
        "runs": [run_line(run, origins[origin_of(run)]) for run in runs],
        "settings": list(setting_texts(runs)),
        "seeds": sorted({int(n) for n in board.rows["seeds"]}),
        "aggregate_columns": _by_heading([*(each.column for each in AGGREGATE_COLUMNS), *AREA_COLUMNS]),
        "task_columns": _by_heading([*(each.column for each in TASK_COLUMNS), *AREA_COLUMNS]),
        "run_columns": RUN_COLUMNS,
        "origin_columns": ORIGIN_COLUMNS,
        "groups": GROUPS,
        "coverage": COVERAGE,
        "cell_meaning": CELL,
    }


def page_style() -> str:
    """The style sheet of a page that stands alone."""
    return "".join((FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", PARTS))


def page_script() -> str:
    """The script of a page: charts, filters, sorting and highlighting."""
    return "".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)


def page_template(name: str) -> "Template":
    """A template of a page, with the ways to show a number as filters. Raises UsageError without Jinja."""
    return _environment().get_template(name)


@cache
def _environment() -> "Environment":
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise UsageError("the HTML page needs Jinja: pip install 'myriad-bench[report]'.") from error
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_without_controls,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": show_score,
        "rank": show_rank,
        "trials": show_trials,
        "estimate": show_estimate,
        "interval": show_interval,
        "percent": show_percent,
        "count": show_count,
        "number": show_number,
        "sort_key": sort_key,
    }
    return environment


def _without_controls(value: Any) -> Any:
    """A text of others without characters that turn or hide what follows; what is HTML already stays."""
    return printable(value) if type(value) is str else value


def _by_heading(columns: Iterable[Column]) -> dict[str, Column]:
    return {column.heading: column for column in columns}
