"""A page for each method: its idea and paper, its settings, and where it is good."""

import inspect
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial

from bench import registry
from bench.analysis.rows import TaskRow, from_frame
from bench.method import AbstractMethod
from bench.report.charts import curves
from bench.report.overview import show_estimate
from bench.report.page import page_template
from bench.report.page_sections import figure_of
from bench.website.docstrings import to_markdown
from bench.website.fields import remarks, settings_table
from bench.website.pages import Site, raw
from bench.website.suites import Published


def page_of(name: str) -> str:
    """The page of a method."""
    return f"methods/{name}.md"


def add_method(site: Site, name: str, suites: Sequence[Published]) -> None:
    """Add the page of a method."""
    method = registry.method(name)
    path = _path(type(method))
    parts = [
        f"# {name}\n\n{to_markdown(_docstring(type(method)))}\n",
        f"The algorithm is in [{path}](../{path}).\n",
        *_parts(method),
        "## Where it is good\n",
        *(_results(name, suite) for suite in suites),
        f"## Settings\n\nOne value for all tasks: `--set {name}.setting=value`.\n",
        settings_table(registry.settings_of(method), remarks(type(method))),
    ]
    if method.search:
        ranges = ", ".join(f"`{setting}`" for setting in method.search)
        parts.append(f"\n`bench tune` searches over {ranges}.\n")
    site.add(page_of(name), "\n".join(parts), "baselines/page")


def _docstring(kind: type) -> str:
    module = inspect.getmodule(kind)
    return (module and module.__doc__) or ""


def _path(kind: type) -> str:
    return f"{kind.__module__.replace('.', '/')}.py"


def _parts(method: AbstractMethod) -> list[str]:
    """What a method is made of: classes among its settings, such as its world model."""
    parts = []
    for field in fields(method):
        value = getattr(method, field.name)
        while isinstance(value, partial):
            value = value.func
        if inspect.isclass(value):
            path = _path(value)
            text = f"{to_markdown(inspect.cleandoc(value.__doc__ or ''))}\n\n{to_markdown(_docstring(value))}"
            parts.append(f"## Its {field.name}: {value.__name__}\n\n{text}\n\nIt is in [{path}](../{path}).\n")
    return parts


def _results(name: str, suite: Published) -> str:
    """The method on the tasks of a suite, the best first, and its learning curves."""
    rows = [row for row in from_frame(TaskRow, suite.board.rows) if row.method == name and row.clipped == row.clipped]
    if not rows:
        return ""
    lines = [
        f"| [{row.task}](../tasks/{row.task}.md) | {row.num_steps} | "
        f"{show_estimate(row.clipped, row.clipped_low, row.clipped_high, 3)} | "
        f"{show_estimate(row.decades, row.decades_low, row.decades_high, 2)} | "
        f"{'★' * (row.clipped_best or row.decades_best)} |"
        for row in sorted(rows, key=lambda row: -row.decades)
    ]
    head = "| task | steps | score | decades of regret | best group |\n| --- | ---: | ---: | ---: | --- |\n"
    own = [replace(c, series=tuple(s for s in c.series if s.method == name)) for c in curves(suite.board)]
    figures = [figure_of(chart, suite.context["index"]) for chart in own if chart.series]
    charts = page_template("figures.html.j2").render({**suite.context, "figures": figures})
    return (
        f"### In {suite.name}\n\n{_place(name, suite)}\n\n{head}"
        + "\n".join(lines)
        + "\n"
        + raw(f'<div class="bench">{charts}</div>{suite.styles()}')
    )


def _place(name: str, suite: Published) -> str:
    """A sentence with its rank."""
    link = f"[{suite.name}](../results/published/{suite.name})"
    row = next((row for row in suite.aggregate if row.method == name), None)
    if row is None or row.rank is None:
        return f"It is in {link}, without a rank."
    ends = f"{row.rank_low} to {row.rank_high}"
    return f"Rank {row.rank} [{ends}] of the {row.kind}s in {link}, by its IQM of {row.score:.3f}."
