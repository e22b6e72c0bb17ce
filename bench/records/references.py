"""Known references: a collection by key.

The key is the task's fingerprint. The package's are in `tasks/references.toml`; those of a user's task, or of a task
with settings of one's own, are in a file beside a run's records. Reading needs no JAX, so reports start fast.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.records import reference_file
from bench.records.reference import NUM_STARTS, Reference, over_starts


@dataclass(frozen=True)
class References:
    """Known references by key. The program that starts builds this value once and hands it on."""

    by_key: Mapping[str, Reference]

    @classmethod
    def shipped(cls) -> "References":
        """Return the references of the package."""
        return cls(reference_file.read_references(reference_file.PACKAGE_FILE))

    @classmethod
    def beside(cls, folder: Path) -> "References":
        """Return the references of the package and those of a folder of results, which take precedence."""
        return cls.shipped().updated(reference_file.read_references(folder / reference_file.FILE_NAME).values())

    def updated(self, references: Iterable[Reference]) -> "References":
        """Return these references and the given ones, which take precedence."""
        return References({**self.by_key, **{r.key: r for r in references}})

    def of(self, fingerprint: str) -> tuple[Reference, ...]:
        """Return every reference of a task: one, or one for each start of its evaluation."""
        return tuple(r for r in self.by_key.values() if r.fingerprint == fingerprint)

    def by_fingerprint(self) -> dict[str, Reference]:
        """Return the reference of each task: over several starts their mean, and none while some starts are missing."""
        groups: dict[str, list[Reference]] = {}
        for reference in self.by_key.values():
            groups.setdefault(reference.fingerprint, []).append(reference)
        return {f: over_starts(group) for f, group in groups.items() if len(group) in (1, NUM_STARTS)}
