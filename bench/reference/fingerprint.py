"""Identity of a task's mathematics: it changes with f, g, Φ, a constant or the grid, and not with a comment."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import Float

from bench.identity import digest
from bench.noisy_task import NoisyTask
from bench.precision import float64
from bench.reference.jaxpr_to_numpy import evaluate
from bench.reference.starts import evaluation_starts
from tasks.base import AbstractHybridTask, AbstractTask
from tasks.constrained import AbstractConstrainedTask

NUM_PROBES = 8


def fingerprint(task: AbstractTask) -> str:
    """Return twelve hex digits of a hash over the field values, the variables, f, g, Φ, the reset and the constraints
    at the probe points, and the starts where they are random.

    Functions are evaluated in float64 whatever the precision in use, to 10 digits. Probe points are too few for a
    tariff that is a function or a table. So where a task has such a field, or reads an array of more than NUM_PROBES
    numbers from elsewhere, the programs that f, g, Φ and the reset are traced to count as well, with all constants in
    them. They change with some versions of JAX.

    A noisy task has the fingerprint of its plant, hashed with the levels of noise.
    """
    if isinstance(task, NoisyTask):
        levels = json.dumps(vars(task.noise), sort_keys=True)
        return hashlib.sha256(f"{fingerprint(task.plant)} {levels}".encode()).hexdigest()[:12]
    fields = {f.name: getattr(task, f.name) for f in dataclasses.fields(task)}
    if fields["starts"] == "fixed":  # that start is one of the variables
        del fields["starts"]
    else:
        fields["starts"] = [f"{value:.9e}" for value in evaluation_starts(task).flat]
    # A variable leaves optional attributes at None. Leaving those out lets a new one change no other task's identity.
    variables = [[[part for part in v if part is not None] for v in (*task.states, *task.controls)]]
    programs = _traced(task)
    values = [_function_values(programs, *point) for point in probe_points(task)]
    others: list[Any] = []  # fields that are no values of JSON

    def stand_in(value: Any) -> Any:
        return value.item() if isinstance(value, np.generic) else others.append(value)

    text = json.dumps([fields, variables, values], sort_keys=True, default=stand_in)
    return hashlib.sha256(f"{text}{_tables_and_functions(programs, others)}".encode()).hexdigest()[:12]


class _Programs(NamedTuple):
    """What a task's functions are traced to in float64: those of (t, x, u), and those of x alone."""

    along: dict[str, ClosedJaxpr]
    at_end: dict[str, ClosedJaxpr]


def _traced(task: AbstractTask) -> _Programs:
    along = {"f": task.vector_field, "g": task.running_cost}
    at_end = {"Φ": task.terminal_cost}
    if isinstance(task, AbstractHybridTask):
        along["jump"] = task.jump
    if isinstance(task, AbstractConstrainedTask):
        along["path"], at_end["end"] = task.path_constraints, task.end_constraints
    x, u = np.zeros(len(task.states)), np.zeros(len(task.controls))
    with float64(task):
        return _Programs(
            {name: jax.make_jaxpr(function)(0.0, x, u) for name, function in along.items()},
            {name: jax.make_jaxpr(function)(x) for name, function in at_end.items()},
        )


def _tables_and_functions(traced: _Programs, others: list[Any]) -> str:
    """Return a hash of what the probe points may miss: arrays, functions and other objects; "" where there are none."""
    arrays = [value for value in others if isinstance(value, jax.Array | np.ndarray)]
    known = traced.along | traced.at_end
    programs = [known[name] for name in ("f", "g", "Φ", "jump") if name in known]
    tables = [constant for program in programs for constant in program.consts if np.size(constant) > NUM_PROBES]
    return digest((arrays, programs)) if others or tables else ""


def probe_points(
    task: AbstractTask,
) -> Iterator[tuple[float, Float[np.ndarray, " n"], Float[np.ndarray, " m"]]]:
    """Yield fixed (t, x, u): times in the horizon, states around the start and in their ranges, controls in bounds."""
    rng = np.random.default_rng(0)
    low, high = task.bounds
    start = np.array([s.start for s in task.states])
    spread = np.array([s.high - s.low if np.isfinite(s.high - s.low) else 1 + abs(s.start) for s in task.states])
    below = np.array([s.low if np.isfinite(s.high - s.low) else s.start - (1 + abs(s.start)) / 2 for s in task.states])
    for i in range(NUM_PROBES):
        around_start = i < NUM_PROBES // 2
        x = start * (1 + 0.1 * rng.random(len(start))) if around_start else below + spread * rng.random(len(start))
        yield task.horizon * rng.random(), x, low + (high - low) * rng.random(len(low))


def _function_values(traced: _Programs, t: float, x: np.ndarray, u: np.ndarray) -> list[str]:
    found = {name: evaluate(program, np.float64(t), x, u) for name, program in traced.along.items()}
    found |= {name: evaluate(program, x) for name, program in traced.at_end.items()}
    parts = [found[name] for name in ("f", "g", "Φ", "jump", "path", "end") if name in found]
    return [f"{value:.9e}" for part in parts for each in part for value in np.atleast_1d(np.asarray(each))]
