"""Numbers of a leaderboard as people read them; empty where there is none."""

import math

from bench.analysis.rows import AggregateRow
from bench.analysis.simulator_gap import MARK_ABOVE


def show_count(value: int | None) -> str:
    """Show a number of runs; empty where nothing was measured."""
    return "" if value is None else str(value)


def show_percent(share: float) -> str:
    """Show a gap of cost or a miss of a target, marked where it is too large; empty where it was not measured."""
    if math.isnan(share):
        return ""
    shown = "lost" if share == math.inf else f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.3g} %"
    return f"! {shown}" if share > MARK_ABOVE else shown


def show_rank(row: AggregateRow) -> str:
    """Show a rank with its interval, and the class of a method that is no learner; say where there is no rank."""
    place = "" if row.rank is None else f"{row.rank} [{row.rank_low}-{row.rank_high}]"
    if row.kind == "learner":
        return place or "unranked"
    return f"{row.kind} {place}".strip()


def show_trials(trials: int) -> str:
    """Show the number of settings from which a method's own was chosen."""
    return f"{trials} trials" if trials else "no"


def show_score(value: float) -> str:
    """Show a score with three decimals, or with none far below the floor; empty where there is no score."""
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 10 else f"{round(value, 3) + 0.0:.3f}"  # + 0.0: no minus before a zero


def show_interval(low: float, high: float) -> str:
    """Show the ends of a score's interval; empty where there is none."""
    return "" if math.isnan(low) else f"[{show_score(low)}, {show_score(high)}]"


def show_number(value: float, digits: int = 6) -> str:
    """Show a number with so many significant digits; empty where there is none."""
    return "" if math.isnan(value) else f"{value:.{digits}g}"
