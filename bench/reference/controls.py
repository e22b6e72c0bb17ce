"""Control sequences by name or from a file: the best known one, the best constant one, a random one, or numbers."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float

from bench.errors import UsageError
from bench.records.files import read_file
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
        return _read(Path(control), task)
    if reference is None:
        raise UsageError(
            f"no stored reference for {name} with these settings, so its {control} control is not known. "
            "`bench run` stores it: `--results DIR` names the folder of its runs. `--control random` or a FILE needs "
            "none."
        )
    return np.array(reference.controls) if control == "best" else np.broadcast_to(reference.floor_control, shape)


def _read(file: Path, task: AbstractTask) -> Float[np.ndarray, "steps m"]:
    """Read a row of finite numbers a step. Raises UsageError."""
    shape = (task.num_steps, len(task.controls))
    wanted = f"{shape[0]} rows (steps) of {shape[1]} number{'s' if shape[1] > 1 else ''} (controls)"
    if file.suffix not in (".csv", ".npy"):
        raise UsageError(f"--control is best, constant, random, or a .csv or .npy file of {wanted}, got '{file}'.")
    try:
        us = np.load(io.BytesIO(read_file(file))) if file.suffix == ".npy" else _read_text(file)
        us = np.asarray(us, float)
    except FileNotFoundError as error:
        raise UsageError(f"--control: {file} not found. It should hold {wanted}.") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"--control {file}: {str(error).rstrip('.')}. It should hold {wanted}.") from error
    if us.shape != shape or not np.all(np.isfinite(us)):
        got = f"shape {us.shape}" if us.shape != shape else "numbers that are not finite"
        raise UsageError(f"--control {file} should hold {wanted}, got {got}.")
    return us


def bounds_warning(us: Float[np.ndarray, "steps m"], task: AbstractTask) -> str:
    """Say in one line which controls are outside of their bounds, "" if none are: the simulator clips them."""
    low, high = task.bounds
    outside = np.argwhere((us < low) | (us > high))
    if not len(outside):
        return ""
    step, i = outside[0]
    return (
        f"{len(outside)} of {us.size} controls are outside of their bounds and are drawn clipped to them, first "
        f"{us[step, i]:g} for '{task.controls[i].name}' in [{low[i]:g}, {high[i]:g}] at step {step}."
    )


def _read_text(file: Path) -> Float[np.ndarray, "steps m"]:
    """Read rows of numbers by commas, after a byte-order mark and a line of names if there are such."""
    lines = [line for line in read_file(file).decode("utf-8-sig").splitlines() if line.strip()]
    rows = lines[1:] if lines and _is_header(lines[0]) else lines
    if not rows:
        raise ValueError("it has no numbers")
    return np.loadtxt(rows, delimiter=",", ndmin=2)


def _is_header(line: str) -> bool:
    """Whether every cell is a name. A cell that begins like a number is a number written otherwise, such as 0,5."""
    return all(
        cell.strip(" '\"")[:1].isalpha() and cell.strip().lower() not in ("nan", "inf") for cell in line.split(",")
    )
