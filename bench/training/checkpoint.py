"""Checkpoints of a block of seeds: after every chunk of training, all that the rest of the run depends on.

A file is one line with a checksum of the rest, one line of JSON (what the checkpoint is of, how far it is, the curve so
far), and the state's leaves as Equinox writes them. A checkpoint that is damaged, or of another version, shape or
setting, is set aside under a name that says so and the run starts from its beginning: going on from it would not end
where an uninterrupted run ends.
"""

import functools
import hashlib
import importlib.metadata
import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from bench.machine import threads
from bench.records.files import set_aside, write_atomically

SCHEMA = 1
MAGIC = "bench checkpoint, sha256 "
# What decides the bits of a run, besides its settings and its program.
PACKAGES = ("jax", "jaxlib", "equinox")


class CheckpointError(ValueError):
    """A file that is no checkpoint, or not of this run."""


class Progress(NamedTuple):
    """How far a run is: its state after `done` steps of the method, and the points of its curve, as plain values."""

    state: Any
    done: int
    curve: list[dict[str, Any]]


@dataclass
class Checkpoint:
    """Where a block's checkpoint is kept, and what it must be of.

    `identity` has what defines the run (settings, fingerprint, seeds) as values of JSON. Trouble with files never stops
    a run: it is told in `notes`.
    """

    path: Path
    identity: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    def save(self, program: str, progress: Progress) -> None:
        """Write atomically, in place of the last one; a note if that is impossible (a full disk)."""
        header = self._must_match(program, progress.state) | {"done": progress.done, "curve": progress.curve}
        try:
            write_atomically(self.path, encode(header, progress.state))
        except OSError as error:
            note = f"no checkpoint could be written to {self.path.parent} ({error.strerror}); training went on"
            if note not in self.notes:
                self.notes.append(note)

    def load(self, program: str, shapes: Any) -> Progress | None:
        """The saved progress of this run; None without one, or after one that is refused was set aside with a note.

        `shapes` is the state as `jax.eval_shape` gives it, `program` identifies the step that was compiled.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.notes.append(f"the checkpoint {self.path} cannot be read ({error.strerror}); started afresh")
            return None
        try:
            return decode(data, self._must_match(program, shapes), shapes)
        except CheckpointError as error:
            self.notes.append(f"checkpoint refused: {error}. {set_aside(self.path)}; started afresh")
            return None

    def _must_match(self, program: str, state: Any) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "identity": self.identity,
            "packages": _versions(),
            "device": jax.devices()[0].device_kind,
            "precision": "float64" if jax.config.read("jax_enable_x64") else "float32",
            "xla_flags": os.environ.get("XLA_FLAGS", ""),
            "threads": threads.count(),
            "state": [f"{leaf.dtype}{list(leaf.shape)}" for leaf in jax.tree.leaves(state)],
            "program": program,
        }


@functools.cache  # they are looked for on the disk
def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def program_digest(*lowered: jax.stages.Lowered) -> str:
    """Identifies programs before compilation, so that a changed method is another one, and a changed comment is not."""
    return hashlib.sha256("".join(each.as_text() for each in lowered).encode()).hexdigest()[:16]


def encode(header: dict[str, Any], state: Any) -> memoryview:
    """The contents of a checkpoint file."""
    file = io.BytesIO()
    file.write(_first_line(b""))
    file.write(json.dumps(header).encode() + b"\n")
    eqx.tree_serialise_leaves(file, _key_data(state))
    # In place: putting a line before some megabytes would copy them, after every chunk of training.
    contents, start = file.getbuffer(), len(_first_line(b""))
    contents[:start] = _first_line(contents[start:])
    return contents


def _first_line(rest: bytes | memoryview) -> bytes:
    return f"{MAGIC}{hashlib.sha256(rest).hexdigest()}\n".encode()


def decode(data: bytes, must_match: dict[str, Any], shapes: Any) -> Progress:
    """The progress in a checkpoint's contents. Raises CheckpointError with the reason why not."""
    first, end, body = data.partition(b"\n")
    if first + end != _first_line(body):
        raise CheckpointError("it is truncated or garbled (its checksum is of other contents)")
    text, _, leaves = body.partition(b"\n")
    header = json.loads(text)
    for name, wanted in json.loads(json.dumps(must_match)).items():
        if header.get(name) != wanted:
            raise CheckpointError(_difference(name, header.get(name), wanted))
    state = eqx.tree_deserialise_leaves(io.BytesIO(leaves), jax.eval_shape(_key_data, shapes))
    return Progress(_wrap_keys(state, shapes), header["done"], header["curve"])


def _difference(name: str, found: Any, wanted: Any) -> str:
    """What differs, down to the entry that does."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = [k for k in {**wanted, **found} if found.get(k) != wanted.get(k)]
        return _difference(f"{name}.{keys[0]}", found.get(keys[0]), wanted.get(keys[0]))
    return f"it is of another {name}: {found}, and this run has {wanted}"


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _key_data(state: Any) -> Any:
    """The state with the bits of its random keys in their place: only plain arrays can be written."""
    return jax.tree.map(lambda leaf: jr.key_data(leaf) if _is_key(leaf) else leaf, state)


def _wrap_keys(state: Any, shapes: Any) -> Any:
    def wrap(leaf, like):
        return jr.wrap_key_data(leaf, impl=jr.key_impl(jnp.empty((), like.dtype))) if _is_key(like) else leaf

    return jax.tree.map(wrap, state, shapes)


def state_digests(state: Any, seeds: int) -> tuple[str, ...]:
    """A hash of all bits of the state of each seed, which is the first axis: equal runs end with equal ones."""
    leaves = jax.device_get(jax.tree.leaves(_key_data(state)))
    bits = (b"".join(leaf[i].tobytes() for leaf in leaves) for i in range(seeds))
    return tuple(hashlib.sha256(each).hexdigest()[:16] for each in bits)
