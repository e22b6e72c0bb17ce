"""Verdicts of the regression gate in words. No JAX here."""

import math
from collections.abc import Iterator

from bench.gate.regression import CellVerdict, Check

WORDS = {
    "same": "same",
    "better": "better",
    "worse": "WORSE",
    "unclear": "not enough seeds to tell",
    "differs": "NOT BIT-EQUAL",
}


def title(verdict: CellVerdict) -> str:
    """The method, and where it was judged."""
    return f"{verdict.cells[0].method} on {where(verdict)}"


def where(verdict: CellVerdict) -> str:
    """The task and its grid, or the number of tasks."""
    cells = verdict.cells
    return cells[0].grid if len(cells) == 1 else f"{len(cells)} tasks"


def one_line(verdict: CellVerdict) -> str:
    """The verdict with its numbers, and with the number of seeds that would be enough where they are too few."""
    words = WORDS[verdict.verdict]
    if verdict.first_difference:
        return f"{words}: {verdict.first_difference}"
    if math.isnan(verdict.p_value):
        return f"{words}, bit by bit"
    numbers = f"difference {verdict.difference:+.3f}, p = {verdict.p_value:.2g}"
    return f"{words} ({seeds_needed(verdict)}): {numbers}" if verdict.verdict == "unclear" else f"{words}: {numbers}"


def seeds_needed(verdict: CellVerdict) -> str:
    """The number of seeds with which an unclear verdict would be clear."""
    if verdict.enough_seeds is None:
        return "no number of seeds known to do"
    in_baseline, _ = verdict.seeds
    return f"{verdict.enough_seeds} would do" + (" in both" if verdict.enough_seeds > in_baseline else "")


def by_task(verdict: CellVerdict) -> str:
    """A line with the difference for each task; empty without a test."""
    differences = zip(verdict.cells, verdict.differences, strict=False)
    return "\n".join(f"{key.grid}: {difference:+.4f}" for key, difference in differences)


def failures(check: Check) -> Iterator[tuple[str, str]]:
    """What fails besides the verdicts: a name and the reason for each missing cell and each unreadable file."""
    for key in check.missing:
        yield f"{key.method} on {key.grid}", f"in the baseline, missing from the candidate (suite {key.suite})"
    for number, reason in enumerate(check.unreadable, 1):
        yield f"unreadable record {number}", reason
