"""Checkpoints of a block of seeds: all that the rest of a run depends on, written after every chunk of training.

A file has one line with a checksum of the rest, one line of JSON (the run's identity, progress and curve), and the
state's leaves as Equinox writes them. A checkpoint that is damaged, or has another version, shape or setting, is set
aside under a name that says so, and the run starts from its beginning: going on from it would end elsewhere than an
uninterrupted run.
"""

import functools
import hashlib
import importlib.metadata
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from bench.machine import threads
from bench.records.files import RecordError, open_regular, set_aside, write_atomically

SCHEMA = 1
MAX_BYTES = 2**33  # of a file whose state is not known
MAX_CURVE_BYTES = 2**30  # of all in a checkpoint but the state: 10⁶ evaluations take some 500 MB
MAGIC = "bench checkpoint, sha256 "
# Their versions decide the bits of a run, beside its settings and its program.
PACKAGES = ("jax", "jaxlib", "equinox")


class CheckpointError(ValueError):
    """A file that is no checkpoint, or not one of this run."""


class Progress(NamedTuple):
    """Progress of a run: its state after `done` steps of the method, and the points of its curve as values of JSON."""

    state: Any
    done: int
    curve: list[dict[str, Any]]


@dataclass
class Checkpoint:
    """The place of a block's checkpoint, and the run that it must belong to.

    `identity` holds what defines the run (settings, fingerprint, seeds) as values of JSON. Trouble with files never
    stops a run; `notes` tell of it.
    """

    path: Path
    identity: dict[str, Any]
    notes: list[str] = field(default_factory=list)

    def save(self, program: str, progress: Progress) -> None:
        """Replace the last checkpoint atomically, or add a note if that is impossible (a full disk)."""
        header = self._must_match(program, progress.state) | {"done": progress.done, "curve": progress.curve}
        try:
            write_atomically(self.path, encode(header, progress.state))
        except OSError as error:
            note = f"no checkpoint could be written to {self.path.parent} ({error.strerror}); training went on"
            if note not in self.notes:
                self.notes.append(note)

    def load(
        self, program: str, shapes: Any, accept: Callable[[Progress], None] = lambda saved: None
    ) -> Progress | None:
        """Return the saved progress of this run, or None. A checkpoint that is refused is set aside with a note.

        `shapes` is the state as `jax.eval_shape` gives it, `program` is the digest of the run's programs. `accept`
        raises CheckpointError for a progress that the run cannot have.
        """
        try:
            leaves = jax.tree.leaves(jax.eval_shape(_key_data, shapes))
            limit = MAX_CURVE_BYTES + sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
            saved = decode(read_checkpoint(self.path, limit), self._must_match(program, shapes), shapes)
            accept(saved)
            return saved
        except FileNotFoundError:
            return None
        except (CheckpointError, RecordError) as error:
            reason = str(error).rstrip(".")
            self.notes.append(f"checkpoint refused: {reason}. {set_aside(self.path)}; started afresh")
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


@functools.cache  # each call would search the disk
def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def program_digest(*lowered: jax.stages.Lowered) -> str:
    """Return a hash of programs before compilation: it changes with the method, and not with a comment."""
    return hashlib.sha256("".join(each.as_text() for each in lowered).encode()).hexdigest()[:16]


def encode(header: dict[str, Any], state: Any) -> memoryview:
    """Return the contents of a checkpoint file."""
    file = io.BytesIO()
    file.write(_first_line(b""))
    file.write(json.dumps(header).encode() + b"\n")
    eqx.tree_serialise_leaves(file, _key_data(state))
    # The checksum is written in place: joining lines would copy some megabytes after every chunk of training.
    contents, start = file.getbuffer(), len(_first_line(b""))
    contents[:start] = _first_line(contents[start:])
    return contents


def _first_line(rest: bytes | memoryview) -> bytes:
    return f"{MAGIC}{hashlib.sha256(rest).hexdigest()}\n".encode()


def read_checkpoint(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return the contents of a checkpoint; a file that does not begin as one, or has more bytes, is not read.

    Raises FileNotFoundError if there is none, CheckpointError and RecordError.
    """
    with open_regular(path) as file:
        start = file.read(len(MAGIC))
        if start != MAGIC.encode():
            raise CheckpointError("it is truncated or garbled (it does not begin as a checkpoint)")
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise CheckpointError(f"it has {size} bytes, more than its run can need")
        return start + file.read()


def decode(data: bytes, must_match: dict[str, Any], shapes: Any) -> Progress:
    """Return the progress in a checkpoint's contents. Raises CheckpointError with the reason why it is refused."""
    first, end, body = data.partition(b"\n")
    if first + end != _first_line(body):
        raise CheckpointError("it is truncated or garbled (its checksum does not match)")
    text, _, leaves = body.partition(b"\n")
    header = decode_header(text)
    for name, wanted in json.loads(json.dumps(must_match)).items():
        if header.get(name) != wanted:
            raise CheckpointError(_difference(name, header.get(name), wanted))
    file = io.BytesIO(leaves)
    try:
        state = eqx.tree_deserialise_leaves(file, jax.eval_shape(_key_data, shapes))
    except Exception as error:  # whatever Equinox and NumPy raise for bytes that are not these arrays
        raise CheckpointError(f"its state cannot be read ({type(error).__name__}: {_first(error)})") from error
    if file.read(1):
        raise CheckpointError("there is more in it than the state")
    return Progress(_wrap_keys(state, shapes), header["done"], header["curve"])


def decode_header(text: bytes) -> dict[str, Any]:
    """Return the line of JSON of a checkpoint. Raises CheckpointError unless it is a table with progress and curve."""
    try:
        header = json.loads(text)  # a cost may be NaN, which msgspec refuses
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"its header is not JSON ({_first(error)})") from error
    done, curve = (header.get("done"), header.get("curve")) if isinstance(header, dict) else (None, None)
    if type(done) is not int or done < 0 or not isinstance(curve, list):
        raise CheckpointError("its header has no progress or no curve")
    return header


def _first(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")


def _difference(name: str, found: Any, wanted: Any) -> str:
    """Name the entry that differs, with both values."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = [k for k in {**wanted, **found} if found.get(k) != wanted.get(k)]
        return _difference(f"{name}.{keys[0]}", found.get(keys[0]), wanted.get(keys[0]))
    return f"it has another {name}: {found}, and this run has {wanted}"


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _key_data(state: Any) -> Any:
    """Replace random keys by their bits, because only arrays of numbers can be written."""
    return jax.tree.map(lambda leaf: jr.key_data(leaf) if _is_key(leaf) else leaf, state)


def _wrap_keys(state: Any, shapes: Any) -> Any:
    def wrap(leaf, like):
        return jr.wrap_key_data(leaf, impl=jr.key_impl(jnp.empty((), like.dtype))) if _is_key(like) else leaf

    return jax.tree.map(wrap, state, shapes)


def state_digests(state: Any, seeds: int) -> tuple[str, ...]:
    """Return a hash of all bits of each seed's state; seeds are the first axis. Equal runs end with equal hashes."""
    leaves = jax.device_get(jax.tree.leaves(_key_data(state)))
    bits = (b"".join(leaf[i].tobytes() for leaf in leaves) for i in range(seeds))
    return tuple(hashlib.sha256(each).hexdigest()[:16] for each in bits)
