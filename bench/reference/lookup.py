"""Lookup of a task's references, and their computation on first use."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from bench.noisy_task import NoisyTask
from bench.records.reference import NUM_STARTS, Reference, key_of, over_starts
from bench.records.reference_file import read_references, write_references
from bench.records.references import References
from bench.reference.adaptive_cost import adaptive_cost
from bench.reference.feasibility import with_violations
from bench.reference.fingerprint import fingerprint
from bench.reference.single_shooting import single_shooting
from bench.reference.starts import evaluation_starts
from tasks.base import AbstractTask


def lookup_each(task: AbstractTask, references: References | None = None) -> tuple[Reference, ...]:
    """Return one reference for each start of the task's evaluation, by default from the package's references.

    Raises LookupError if any is missing.
    """
    found = (references or References.shipped()).of(fingerprint(task))
    if len(found) < (1 if task.starts == "fixed" else NUM_STARTS):
        raise LookupError(
            f"no reference for {type(task).__name__} with horizon {task.horizon}, {task.num_steps} steps and "
            f"{task.starts} starts. `bench run` computes it before the first run; in a script call "
            "`bench.reference.lookup.complete(references, name, task, path)`."
        )
    return found


def lookup(task: AbstractTask, references: References | None = None) -> Reference:
    """Return the reference of a task; over several starts their mean. Raises LookupError if it is not known."""
    return over_starts(lookup_each(task, references))


def complete(references: References, name: str, task: AbstractTask, path: Path | None = None) -> References:
    """Return references that include those of `task`, whose name is `name`.

    Missing ones are computed now, which takes seconds to minutes for each start, and are added to the file `path`.
    """
    try:
        lookup_each(task, references)
    except LookupError:
        identity = fingerprint(task)
        if isinstance(task, NoisyTask):
            references = complete(references, name, task.plant, path)
            return _stored(references, path, noise_free_bounds(task, references))
        for x0 in evaluation_starts(task):
            if key_of(identity, None if task.starts == "fixed" else x0.tolist()) in references.by_key:
                continue
            found = single_shooting(name, task, x0)
            found = with_violations(task, replace(found, adaptive=adaptive_cost(task, found)))
            references = _stored(references, path, [found])
    return references


def noise_free_bounds(task: NoisyTask, references: References) -> list[Reference]:
    """Return the references of a noisy task, given those of its plant: the same, as bounds. Raises LookupError."""
    identity = fingerprint(task)
    return [replace(each, fingerprint=identity, bound=True) for each in lookup_each(task.plant, references)]


def _stored(references: References, path: Path | None, found: Iterable[Reference]) -> References:
    """Add references, also to a file."""
    found = list(found)
    if path:
        write_references(path, read_references(path) | {each.key: each for each in found})
    return references.updated(found)
