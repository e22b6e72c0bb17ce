"""Control sequences by name or from a file: the best known one, the best constant one, a random one, or numbers."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from bench.errors import UsageError
from bench.records.reference import Reference
from tasks.base import AbstractTask


def control_sequence(
    control: str, name: str, task: AbstractTask, reference: Reference | None, seed: int
) -> Float[np.ndarray, "steps m"]:
    """Make the controls that `control` names: "best", "constant", "random", or a .csv or .npy file with a row a step.

    `name` is the task's name in messages. `seed` is that of random controls, which are uniform within their bounds.
    Raises UsageError where there is no reference, no such file, or a file of another shape.
    """
    shape = (task.num_steps, len(task.controls))
    if control == "random":
        low, high = task.bounds
        return np.random.default_rng(seed).uniform(low, high, shape)
    if control not in ("best", "constant"):
        return _read(Path(control), shape)
    if reference is None:
        raise UsageError(
            f"no stored reference for {name} with these settings, so its {control} control is not known. "
            f"`bench reference --task {name}` computes that of a task with its defaults; "
            "`--control random` or a FILE needs none."
        )
    return np.array(reference.controls) if control == "best" else np.broadcast_to(reference.floor_control, shape)


def _read(file: Path, shape: tuple[int, int]) -> Float[np.ndarray, "steps m"]:
    """Read finite numbers of that shape. Raises UsageError."""
    wanted = f"{shape[0]} rows (steps) of {shape[1]} number{'s' if shape[1] > 1 else ''} (controls)"
    if file.suffix not in (".csv", ".npy"):
        raise UsageError(f"--control is best, constant, random, or a .csv or .npy file of {wanted}, got '{file}'.")
    try:
        us = np.load(file) if file.suffix == ".npy" else np.loadtxt(file, delimiter=",", ndmin=2)
        us = np.asarray(us, float)
    except (OSError, ValueError) as error:
        raise UsageError(f"--control {file}: {error}. It should hold {wanted}.") from error
    if us.shape != shape or not np.all(np.isfinite(us)):
        got = f"shape {us.shape}" if us.shape != shape else "numbers that are not finite"
        raise UsageError(f"--control {file} should hold {wanted}, got {got}.")
    return us
