"""Measurements of gradients as tables for people. No JAX here."""

from collections.abc import Sequence

from bench.gradients.records import Measurement
from bench.report.text import Table

HEAD = ("model", "updates", "fit error", "norm", "growth", "cosine", "ratio", "horizon", "bad", "circuitous")


def summaries(measured: Sequence[Measurement]) -> list[Table]:
    """A table for each task and policy: a line per model and length of training, means over seeds at the longest
    horizon. `ratio` is to the norm of the true gradient, `horizon` the effective one, `bad` the share of non-finite
    values, `circuitous` that of the gradient through predicted states."""
    tables = []
    for task, policy in dict.fromkeys((m.task, m.policy) for m in measured):
        groups: dict[tuple[str, int], list[Measurement]] = {}
        for m in measured:
            if (m.task, m.policy) == (task, policy):
                groups.setdefault((m.model, m.updates), []).append(m)
        one = next(iter(groups.values()))
        title = f"{task}, {policy} policy: gradients over {one[0].horizons[-1]} steps, {len(one)} seeds"
        tables.append(Table(title, HEAD, [(*map(str, key), *_line(runs)) for key, runs in groups.items()]))
    return tables


def _line(runs: Sequence[Measurement]) -> list[str]:
    longest = runs[0].horizons[-1]
    laws = [m.numbers["growth"] for m in runs]
    better = {law["better"] for law in laws} - {""}
    rate, power = _mean([law["rate"] for law in laws]), _mean([law["power"] for law in laws])
    growth = f"e^{rate}H" if better == {"exponential"} else f"H^{power}" if better == {"power"} else "either"
    return [
        _mean([m.numbers.get("fit_error") for m in runs]),
        *(_mean([m.at("norm", longest) for m in runs]), growth if better else ""),
        *(_mean([m.at(name, longest) for m in runs]) for name in ("cosine", "norm_ratio")),
        _mean([m.numbers.get("effective_horizon") for m in runs]),
        *(_mean([m.at(name, longest) for m in runs]) for name in ("non_finite", "circuitous_share")),
    ]


def _mean(values: Sequence[int | float | None]) -> str:
    found = [v for v in values if v is not None]
    return f"{sum(found) / len(found):.3g}" if found else ""
