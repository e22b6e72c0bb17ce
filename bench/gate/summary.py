"""Verdicts of the regression gate in words. No JAX here."""

import math

from bench.gate.regression import CellVerdict

WORDS = {
    "same": "same",
    "better": "better",
    "worse": "WORSE",
    "unclear": "not enough seeds to tell",
    "differs": "NOT BIT-EQUAL",
}


def label(comparison: CellVerdict) -> str:
    """The method, and the task or the number of tasks."""
    return f"{comparison.cells[0].method} on {place(comparison)}"


def place(comparison: CellVerdict) -> str:
    """The task, or the number of tasks."""
    cells = comparison.cells
    return cells[0].grid if len(cells) == 1 else f"{len(cells)} tasks"


def summary(comparison: CellVerdict) -> str:
    """The verdict in one line: what was found, and how many seeds would do where they are too few."""
    words = WORDS[comparison.verdict]
    if comparison.detail:
        return f"{words}: {comparison.detail}"
    if math.isnan(comparison.p_value):
        return f"{words}, bit by bit"
    numbers = f"difference {comparison.difference:+.3f}, p = {comparison.p_value:.2g}"
    return f"{words} ({advice(comparison)}): {numbers}" if comparison.verdict == "unclear" else f"{words}: {numbers}"


def advice(comparison: CellVerdict) -> str:
    """How many seeds would do, "" where that is no question."""
    if comparison.verdict != "unclear":
        return ""
    if comparison.enough is None:
        return "no number of seeds known to do"
    return f"{comparison.enough} would do" + (" in both" if comparison.enough > comparison.seeds[0] else "")


def detail(comparison: CellVerdict) -> str:
    """The difference on every task."""
    parts = zip(comparison.cells, comparison.parts, strict=False)
    return "\n".join(f"{key.grid}: {part:+.4f}" for key, part in parts)
