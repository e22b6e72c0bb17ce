"""Where runs differ bit by bit in what they computed, not in time or place."""

from collections.abc import Sequence
from typing import Any

from bench.records.decode import DecodeError
from bench.records.files import RecordError, read_file
from bench.records.run import RunRecord, trajectory_path
from bench.records.trajectory import decode_trajectory


def first_difference(baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> str:
    """Where the candidate's runs first differ from the baseline's in what they computed, not in time or place.

    The result is "" if they differ nowhere.
    """
    known = {run.seed: run for run in baseline}
    for run in candidate:
        if run.seed not in known:
            return f"seed {run.seed} is not in the baseline"
        if known[run.seed].status != run.status:
            return f"seed {run.seed} is {run.status}, was {known[run.seed].status}"
        one, other = (
            [(p["env_steps"], p["cost"], p["end_error"]) for p in r.curve] + [(r.usage["env_steps"], r.cost, None)]
            for r in (known[run.seed], run)
        )
        if one != other:
            steps = next((b[0] for a, b in zip(one, other, strict=False) if a != b), "another number of")
            return f"seed {run.seed} differs from {steps} environment steps on"
    return ""


def difference_at_end(baseline: Sequence[RunRecord], candidate: Sequence[RunRecord]) -> str:
    """Where runs differ in final states, second scores or episodes of final policies.

    The result is "" if they differ nowhere, or where one of the two does not have these.
    """
    known = {run.seed: run for run in baseline}
    for run in candidate:
        old = known[run.seed]
        parts = {
            "final state": [each.provenance.get("final_state") for each in (old, run)],
            "score by the adaptive solver or on the finer grid": [each.rescored for each in (old, run)],
            "trajectory": [_episode(each) for each in (old, run)],
        }
        for what, (one, other) in parts.items():
            if one and other and one != other:
                return f"seed {run.seed} differs in its {what}"
    return ""


def _episode(run: RunRecord) -> dict[str, Any] | None:
    """The stored episode of a run's final policy; None if there is none. One that cannot be read equals no other."""
    if run.file is None:
        return None
    try:
        return decode_trajectory(read_file(trajectory_path(run.file.parents[1], run)), run.num_steps)["policy"]
    except FileNotFoundError:
        return None
    except (RecordError, DecodeError) as error:
        return {"unreadable": str(error), "file": run.file}
