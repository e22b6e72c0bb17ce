"""What decides the bits of a run beside its settings: its programs, the precision and some packages. No JAX."""

from collections.abc import Mapping
from typing import Any

from bench.records.run import RunRecord

# Packages whose versions can change the bits of a run.
PACKAGES = ("jax", "jaxlib", "diffrax", "equinox", "optax", "numpy")


def environment_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return in words what differs in the precision and the packages of two provenances, "" if nothing does.

    What one of them does not say counts as equal.
    """
    packages, others = one.get("packages", {}), other.get("packages", {})
    pairs = {"precision": (one.get("precision"), other.get("precision"))}
    pairs |= {name: (packages.get(name), others.get(name)) for name in PACKAGES}
    return ", ".join(f"{name} ({a}, {b})" for name, (a, b) in pairs.items() if a and b and a != b)


def is_unknown(record: RunRecord) -> bool:
    """Whether a record is older than fingerprints of methods. A failed run may lack one for another reason."""
    return not record.method_fingerprint and record.status != "failed"


def code_difference(one: RunRecord, other: RunRecord) -> str:
    """Return in words how the programs of two runs of a cell differ, "" if they do not.

    A failed run computed nothing, so its program does not matter.
    """
    a, b = (record.method_fingerprint or "unknown" for record in (one, other))
    return f"method fingerprint ({a}, {b})" if a != b and "failed" not in (one.status, other.status) else ""


def file_of(record: RunRecord) -> str:
    """Return the name of a record's file and its seed, or what else tells it from others."""
    if record.file:
        return f"{record.file} (seed {record.seed})"
    return f"the record of seed {record.seed} that began at {record.provenance.get('started')}"
