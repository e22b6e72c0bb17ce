"""A page for each task: statement, units, source, the best known control, its reference, and who solves it."""

import inspect
import math
from collections.abc import Iterator, Sequence

import numpy as np

from bench import registry
from bench.records.reference import Reference
from bench.records.references import References
from bench.reference.controls import control_sequence
from bench.reference.episodes import simulate_controls
from bench.reference.fingerprint import fingerprint
from bench.report.chart import Chart, Series, unit_after
from bench.report.page import page_template
from bench.report.page_sections import Figure, figure_of
from bench.report.shown import show_number
from bench.website.docstrings import paragraph, title_of, to_markdown, without
from bench.website.fields import remarks, settings_table
from bench.website.pages import Site, raw
from bench.website.suites import Published
from tasks.base import AbstractTask, ControlVar, StateVar

GRADES = {
    "A": "the cost meets a formula for the optimum",
    "B": "two independent routes reach the same cost, and an adaptive solver confirms it",
    "C": "the lowest cost that is known",
}
SOURCE, DIFFERS = "Source", "Differs from Myriad"


def page_of(name: str) -> str:
    """The page of a task."""
    return f"tasks/{name}.md"


def add_task(site: Site, name: str, suites: Sequence[Published]) -> None:
    """Add the page of a task."""
    task = registry.task(name)
    module = inspect.getmodule(type(task))
    text = (module and module.__doc__) or ""
    path = f"{type(task).__module__.replace('.', '/')}.py"
    reference = References.shipped().by_fingerprint().get(fingerprint(task))
    parts = [
        f"# {name}\n\n{to_markdown(without(text, SOURCE, DIFFERS))}\n",
        f"Source: {paragraph(text, SOURCE).partition(': ')[2]}\n",
        f"{paragraph(text, DIFFERS)}\n",
        f"The whole definition is in [{path}](../{path}).\n",
        _variables(task),
        "## Best known control\n",
        raw(_episode(name, task, reference)),
        _reference(task, reference),
        "## Who solves it\n",
        *(_results(name, suite) for suite in suites),
        _settings(task),
        f"## Try it\n\n```\npython -m bench show {name}\n"
        f"python -m bench run smoke --task {name} --out results/{name}\n```\n",
    ]
    site.add(page_of(name), "\n".join(parts), "tasks/page")


def summary_of(name: str) -> str:
    """The first words of a task's file."""
    module = inspect.getmodule(registry.TASKS[name])
    return title_of((module and module.__doc__) or "")


def _variables(task: AbstractTask) -> str:
    """States and controls with their units, and the grid."""
    rows = [f"| `{s.name}` | {_unit(s)} | {s.start:g} | {_range(s)} | {_target(s)} |" for s in task.states]
    controls = [f"| `{c.name}` | {_unit(c)} | {c.low:g} | {c.high:g} |" for c in task.controls]
    unit = "" if task.time_unit == "1" else f" {task.time_unit}"
    return (
        "## States and controls\n\n| state | unit | start | range | target |\n| --- | --- | ---: | --- | ---: |\n"
        + "\n".join(rows)
        + "\n\n| control | unit | low | high |\n| --- | --- | ---: | ---: |\n"
        + "\n".join(controls)
        + f"\n\nThe horizon is {task.horizon:g}{unit}, in {task.num_steps} intervals on which a control is held. "
        f"Each is integrated by {task.solver_steps} step{'s' * (task.solver_steps > 1)} of `{task.solver}`.\n"
    )


def _unit(variable: StateVar | ControlVar) -> str:
    return "" if variable.unit == "1" else variable.unit.replace("mm3", "mm³")


def _range(state: StateVar) -> str:
    return f"{state.low:g} to {state.high:g}" if math.isfinite(state.high - state.low) else ""


def _target(state: StateVar) -> str:
    return "" if math.isnan(state.target) else f"{state.target:g}"


def _episode(name: str, task: AbstractTask, reference: Reference | None) -> str:
    """The best known control with its states and cost, as charts; the best constant one where none is known."""
    if reference is None:
        return "<p>No reference is stored for this task.</p>"
    us = control_sequence("best", name, task, reference, seed=0)
    found = simulate_controls(task, us, reference.states)
    return _charts(list(_drawn(name, task, *map(np.asarray, (found.xs, found.us, found.costs, found.cost)))))


def _drawn(
    name: str, task: AbstractTask, xs: np.ndarray, us: np.ndarray, costs: np.ndarray, cost: np.ndarray
) -> Iterator[Figure]:
    times = np.linspace(0.0, task.horizon, task.num_steps + 1)
    label = unit_after("time", task.time_unit)

    def chart(variable: str, values: np.ndarray, held: bool = False, target: float | None = None) -> Figure:
        line = (
            Series(None, times[: len(values)] if len(values) <= len(times) else np.append(times, times[-1]), values),
        )
        return figure_of(Chart(variable, label, variable, line, "", name, held=held, target=target), {})._replace(
            caption=""
        )

    for state, values in zip(task.states, xs.T, strict=True):
        yield chart(
            unit_after(state.name, state.unit), values, target=None if math.isnan(state.target) else state.target
        )
    for control, values in zip(task.controls, us.T, strict=True):
        yield chart(unit_after(control.name, control.unit), np.append(values, values[-1]), held=True)
    yield chart("accumulated cost", np.array([0.0, *np.cumsum(costs), cost]))


def _charts(figures: Sequence[Figure]) -> str:
    html = page_template("figures.html.j2").render(figures=figures, groups={}, links={}, index={})
    return f'<div class="bench">{html}</div>'


def _reference(task: AbstractTask, reference: Reference | None) -> str:
    if reference is None:
        return ""
    floor = "the best constant control" if task.floor == "constant" else "the mean of random controls"
    solved = "none: a constant control solves the task, so it has no score"
    error, exponent = reference.integration_error, reference.lyapunov
    rows = {
        "best known cost": f"{reference.best:.9g}",
        "grade": f"{reference.grade}: {GRADES[reference.grade]}",
        f"floor: {floor}": f"{reference.floor:.9g}",
        "headroom, floor less best": show_number(reference.headroom) if reference.headroom else solved,
        "found by": reference.found_by,
        "projected gradient there": show_number(reference.residual, 2),
        "its cost by an adaptive solver": "" if reference.adaptive is None else f"{reference.adaptive:.9g}",
        "integration error of the grid, relative": "" if error is None else show_number(error, 2),
        "Lyapunov exponent times the horizon": "" if exponent is None else show_number(exponent, 3),
    }
    lines = "\n".join(f"| {name} | {value} |" for name, value in rows.items() if value)
    table = f"| | |\n| --- | --- |\n{lines}"
    more = "[Judging](../docs/judging.md#difficulty-of-a-task) explains the measures."
    return f"## Reference\n\n{table}\n\n{more}\n"


def _results(name: str, suite: Published) -> str:
    """The methods of a suite on this task."""
    parts = []
    for s in suite.context["suites"]:
        for t in (t for t in s.tasks if t.name == name):
            figure = suite.part("task_curve", s=s, t=t) if t.figure else ""
            table = suite.part("suite_task", s=s, t=t)
            parts.append(f"### In {suite.name}, {t.num_steps} steps\n{raw(suite.styles() + figure + table)}")
            parts.append(f"[All results of {suite.name}](../results/published/{suite.name}).\n")
    return "\n".join(parts)


def _settings(task: AbstractTask) -> str:
    settings = registry.settings_of(task)
    table = settings_table(settings, remarks(type(task)))
    return f"## Constants and grid\n\nAll are settings: `--set NAME.field=value`.\n\n{table}"
