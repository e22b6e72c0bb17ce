"""Runs that profit from the simulator's errors, miss their end-state targets or violate constraints. No JAX here.

After training, an adaptive solver and a finer grid score the final policy again. `RunRecord.rescored` holds the result.
"""

import math
import sys

from bench.records.reference import Reference
from bench.records.run import RunRecord

MARK_ABOVE = 0.01  # a larger cost gap (relative), end miss or violation (in units of the range) is marked


def cost_gap(run: RunRecord, reference: Reference | None) -> float:
    """Largest change of the final policy's cost when it is scored again, relative to the cost's size.

    It is inf where an episode was lost, and nan where nothing was measured. A cost near 0 has the size of a thousandth
    of the headroom.
    """
    own = run.curve[-1]["cost"] if run.curve else None
    if not run.rescored or own is None:
        return math.nan
    size = max(abs(own), sys.float_info.min, 1e-3 * (reference.headroom or 0) if reference else 0)
    again = [run.rescored["adaptive"], run.rescored["finer"]]
    return max(math.inf if cost is None else abs(cost - own) / size for cost in again)


def end_miss(run: RunRecord) -> float:
    """Largest miss of an end-state target, in units of the state's range.

    It is 0 for a task without targets, inf where the episode was lost, and nan where nothing was measured.
    """
    error = run.rescored.get("end_error", math.nan)
    return math.inf if error is None else error


def violation(run: RunRecord) -> float:
    """Largest violation of a constraint, in units of its range.

    It is 0 for a task without constraints, inf where an episode was lost, and nan where nothing was measured.
    """
    found = run.rescored.get("violation", math.nan)
    return math.inf if found is None else found


def largest_measured(values: list[float]) -> float:
    """The largest value that was measured; nan if none was."""
    return max((v for v in values if not math.isnan(v)), default=math.nan)


def count_marked(values: list[float]) -> int | None:
    """The number of values above MARK_ABOVE; None if none was measured."""
    return None if all(map(math.isnan, values)) else sum(v > MARK_ABOVE for v in values)
