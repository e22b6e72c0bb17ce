"""Measurements and claims as tables for people. No JAX here."""

from collections.abc import Sequence

from bench.gradients.measurements import Measurement
from bench.report.display import Table


def summary(measured: Sequence[Measurement]) -> Table:
    """A line per task, policy, model and length of training: means over seeds at the longest horizon."""
    head = ("task", "policy", "model", "updates", "fit error", "|g|", "growth", "cosine", "|g| / true", "useful to")
    head += ("non-finite", "through predictions")
    groups: dict[tuple, list[Measurement]] = {}
    for m in measured:
        groups.setdefault((m.task, m.policy, m.model, m.updates), []).append(m)
    rows = [(*map(str, key), *_line(runs)) for key, runs in groups.items()]
    seeds = len({m.seed for m in measured})
    title = f"Policy gradients over the longest horizon, mean of {seeds} seed{'s' if seeds > 1 else ''}"
    return Table(title, head, rows)


def _line(runs: Sequence[Measurement]) -> list[str]:
    longest = runs[0].horizons[-1]
    laws = [m.numbers["growth"] for m in runs]
    better = {law["better"] for law in laws} - {""}
    rate, power = _mean([law["rate"] for law in laws]), _mean([law["power"] for law in laws])
    growth = f"e^({rate} H)" if better == {"exponential"} else f"H^{power}" if better == {"power"} else "either"
    return [
        _mean([m.numbers.get("fit_error") for m in runs]),
        *(_mean([m.at("norm", longest) for m in runs]), growth if better else ""),
        *(_mean([m.at(name, longest) for m in runs]) for name in ("cosine", "norm_ratio")),
        _mean([m.numbers.get("effective_horizon") for m in runs]),
        *(_mean([m.at(name, longest) for m in runs]) for name in ("non_finite", "circuitous_share")),
    ]


def _mean(values: Sequence[float | None]) -> str:
    found = [v for v in values if v is not None]
    return f"{sum(found) / len(found):.3g}" if found else ""
