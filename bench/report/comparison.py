"""Two folders side by side: a table for people, and files. No JAX here."""

import json
from collections.abc import Callable, Mapping
from itertools import groupby

import pandas as pd

from bench.analysis.comparison import Comparison, ComparisonRow
from bench.report.data_files import plain_value, table_csv
from bench.report.markdown import escaped, table_markdown
from bench.report.text import Table, number_column, text_column

LEGEND = (
    "Scores are means over seeds, clipped to [-1, 1], with -1 for failed runs; both sides are scored by the reference "
    "of A. B - A has Welch's 95 % interval; fewer than 5 seeds on a side have none."
)
COLUMNS = (
    text_column("method"),
    number_column("seeds", "of A and of B"),
    number_column("A", "mean clipped score with its 95 % interval"),
    number_column("B", "mean clipped score with its 95 % interval"),
    number_column("B - A", "difference with its 95 % interval"),
)


def comparison_tables(comparison: Comparison) -> list[Table]:
    """Make one table for each suite, task and grid."""
    groups = groupby(comparison.rows, lambda row: (row.suite, row.task, row.num_steps))
    return [
        Table(f"{suite}: {task}, {steps} steps", COLUMNS, [_texts(row) for row in rows])
        for (suite, task, steps), rows in groups
    ]


def _texts(row: ComparisonRow) -> tuple[str, ...]:
    return (
        row.method,
        f"{row.a_seeds} : {row.b_seeds}",
        _number(row.a_score, row.a_score_low, row.a_score_high, ".3f"),
        _number(row.b_score, row.b_score_low, row.b_score_high, ".3f"),
        _number(row.difference, row.difference_low, row.difference_high, "+.3f"),
    )


def _number(value: float, low: float, high: float, form: str) -> str:
    """A number with its interval, if it has one; empty where there is none."""
    if value != value:
        return ""
    value, low, high = (round(each, 3) + 0.0 for each in (value, low, high))  # + 0.0: no minus before a zero
    return f"{value:{form}}" + (f" [{low:{form}}, {high:{form}}]" if low == low else "")


def _markdown(comparison: Comparison) -> str:
    notes = "".join(f"- {escaped(note)}\n" for note in comparison.notes)
    return "\n".join([*map(table_markdown, comparison_tables(comparison)), f"{LEGEND}\n", notes])


def _csv(comparison: Comparison) -> str:
    return table_csv(pd.DataFrame(list(comparison.rows), columns=list(ComparisonRow._fields)))


def _json(comparison: Comparison) -> str:
    rows = [{name: plain_value(value) for name, value in row._asdict().items()} for row in comparison.rows]
    return json.dumps({"rows": rows, "notes": comparison.notes}, indent=1, allow_nan=False) + "\n"


COMPARISON_FORMATS: Mapping[str, tuple[str, Callable[[Comparison], str]]] = {
    "csv": ("comparison.csv", _csv),
    "markdown": ("comparison.md", _markdown),
    "json": ("comparison.json", _json),
}
