"""Which runs live off the simulator's errors or miss their end-state targets: what scoring again found. No JAX here."""

import math

from bench.records.reference import Reference
from bench.records.run import RunRecord

MARK_ABOVE = 0.01  # a gap of cost, relative, or a miss of a target, of the state's range, that is marked when above


def cost_gap(run: RunRecord, reference: Reference | None) -> float:
    """The largest change of the final policy's cost when it is scored again, relative to its size.

    inf where an episode was lost; nan where nothing was measured. A cost near 0 has the size of a thousandth of the
    headroom.
    """
    own = run.curve[-1]["cost"] if run.curve else None
    if not run.rescored or own is None:
        return math.nan
    size = max(abs(own), 1e-9, 1e-3 * (reference.headroom or 0) if reference else 0)
    again = [run.rescored["adaptive"], run.rescored["finer"]]
    return max(math.inf if cost is None else abs(cost - own) / size for cost in again)


def target_miss(run: RunRecord) -> float:
    """The largest miss of an end-state target, in units of the state's range; 0 without targets, inf where the episode
    was lost, nan where nothing was measured."""
    found = run.rescored.get("end_error", math.nan)
    return math.inf if found is None else found


def largest(values: list[float]) -> float:
    """The largest that was measured; nan if none was."""
    return max((v for v in values if not math.isnan(v)), default=math.nan)


def marked(values: list[float]) -> int | None:
    """How many are above MARK; None if none was measured."""
    return None if all(map(math.isnan, values)) else sum(v > MARK_ABOVE for v in values)
