"""Can a run have the progress that a checkpoint holds? What a run of this budget cannot have is refused."""

import math
from collections.abc import Collection, Sequence

import msgspec

from bench.budget import Usage
from bench.records.decode import DecodeError, check
from bench.records.run_parts import BlockPoint
from bench.training.checkpoint import CheckpointError, Progress


def spent(usage: Usage, steps: int) -> dict[str, int]:
    """Return what a method has spent after a number of its steps."""
    return {
        "env_steps": usage.init_env_steps + steps * usage.env_steps,
        "env_grad_steps": steps * usage.env_grad_steps,
        "updates": steps * usage.updates,
    }


def check_progress(saved: Progress, known: Collection[str], usage: Usage, points: Sequence[int], seeds: int) -> None:
    """Raise CheckpointError unless the curve has an evaluation of every seed at each point up to the progress.

    `known` are the names of an evaluation's entries.
    """
    if saved.done not in points or len(saved.curve) != points.index(saved.done) + 1:
        raise CheckpointError(f"its {len(saved.curve)} evaluations and {saved.done} steps are not those of this run")
    try:
        curve: list[BlockPoint] = check(msgspec.convert, saved.curve, list[BlockPoint])
    except DecodeError as error:
        raise CheckpointError(f"its curve is garbled ({error})") from error
    unknown = {name for point in saved.curve for name in point} - {*known}
    if unknown:
        raise CheckpointError(f"its curve has entries that this version does not know: {', '.join(sorted(unknown))}")
    for point, each in zip(points, curve, strict=False):
        if any(each[name] != count for name, count in spent(usage, point).items()):
            raise CheckpointError("its evaluations spent something else than this run does")
    for name in ("train_seconds", "cpu_seconds"):
        seconds = [value for each in curve if (value := each.get(name)) is not None]
        if seconds != sorted(seconds) or not all(map(math.isfinite, seconds)):
            raise CheckpointError(f"its {name} fall along the curve, or are not finite")
    lengths = {len(costs) for each in curve for costs in (each["cost"], each["end_error"], each["violation"])}
    if saved.done == points[-1]:
        lengths |= {len(curve[-1]["state"]), len(curve[-1].get("final", ()))}
    if lengths != {seeds}:
        raise CheckpointError(f"its curve has evaluations of other than {seeds} seeds")
