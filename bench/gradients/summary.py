"""Measurements of gradients as tables for people. No JAX here."""

from collections import defaultdict
from collections.abc import Sequence

from bench.gradients.records import Measurement
from bench.report.text import Table, number_column, text_column

COLUMNS = (
    text_column("model", "the method whose world model the gradient goes through, or the simulator"),
    number_column("updates", "optimiser steps that the model was fitted for"),
    number_column("fit error", "squared error of the states over the whole horizon, in units of their variances"),
    number_column("norm", "norm of the gradient at the longest horizon"),
    number_column("growth", "law by which the norm grows with the horizon H; empty where there is none"),
    number_column("cosine", "cosine of the angle to the true gradient"),
    number_column("ratio", "norm relative to that of the true gradient"),
    number_column("horizon", "effective horizon, in steps"),
    number_column("bad", "share of values that are not finite"),
    number_column("circuitous", "share of the gradient that flows through predicted states"),
)


def summaries(measured: Sequence[Measurement]) -> list[Table]:
    """Make a table for each task and policy, with a line for each model and number of updates.

    Numbers are means over seeds, at the longest horizon.
    """
    groups: dict[tuple[str, str], dict[tuple[str, int], list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for m in measured:
        groups[m.task, m.policy][m.model, m.updates].append(m)
    tables = []
    for (task, policy), lines in groups.items():
        first = next(iter(lines.values()))
        title = f"{task}, {policy} policy: gradients over {first[0].horizons[-1]} steps, {len(first)} seeds"
        tables.append(Table(title, COLUMNS, [_line(*key, runs) for key, runs in lines.items()]))
    return tables


def _line(model: str, updates: int, runs: Sequence[Measurement]) -> tuple[str, ...]:
    longest = runs[0].horizons[-1]

    def at_longest(name: str) -> str:
        return _mean([m.at(name, longest) for m in runs])

    return (
        model,
        str(updates),
        _mean([m.numbers.get("fit_error") for m in runs]),
        at_longest("norm"),
        _growth(runs),
        at_longest("cosine"),
        at_longest("norm_ratio"),
        _mean([m.numbers.get("effective_horizon") for m in runs]),
        at_longest("non_finite"),
        at_longest("circuitous_share"),
    )


def _growth(runs: Sequence[Measurement]) -> str:
    """The law of growth that fits better in all runs, "either" where runs differ, empty where none fits."""
    laws = [m.numbers["growth"] for m in runs]
    better = {law["better"] for law in laws} - {""}
    if better == {"exponential"}:
        return f"e^{_mean([law['rate'] for law in laws])}H"
    if better == {"power"}:
        return f"H^{_mean([law['power'] for law in laws])}"
    return "either" if better else ""


def _mean(values: Sequence[int | float | None]) -> str:
    """The mean of the values that are finite; empty where there are none."""
    finite = [v for v in values if v is not None]
    return f"{sum(finite) / len(finite):.3g}" if finite else ""
