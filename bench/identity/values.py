"""Canonical hashing of values: arrays by dtype, shape and bytes, other objects by their fields, never by address."""

import functools
import hashlib
from collections.abc import Callable, Mapping, Set
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from bench.errors import UsageError

HEX_DIGITS = 16
# What a wrapper takes over from the function that it wraps: no part of what it does.
NAMES = {"__annotations__", "__doc__", "__module__", "__name__", "__qualname__", "__wrapped__"}


class UnhashableError(UsageError):
    """A value that has no identity outside of this process, such as an open file or a lock."""

    def __init__(self, kind: str):
        self.args = (
            f"a {kind}, which another process cannot tell from others: give a number, text, array, function, or an "
            "object made of these.",
        )


class Writer:
    """A hash under construction. `write` adds a value; an object inside itself counts by how far up it is.

    `rules` write what is more than data: each returns whether it has written the value.
    """

    def __init__(self, rules: "tuple[Rule, ...]" = ()):
        self._rules = rules
        self._hash = hashlib.sha256()
        self._open: dict[int, int] = {}  # of the objects that are being written: how deep each is inside the outermost
        self._numbers: dict[int, tuple[int, object]] = {}  # of functions and classes, which count once

    def hexdigest(self) -> str:
        """Return the hash of all that was written."""
        return self._hash.hexdigest()[:HEX_DIGITS]

    def tag(self, text: str) -> None:
        """Add a text that no other value can be mistaken for."""
        data = text.encode("utf-8", "surrogatepass")
        self._hash.update(b"%d:" % len(data) + data)

    def write(self, value: Any) -> None:
        """Add a value. Raises UnhashableError."""
        if type(value) is str:  # most values are texts, which are worth a way of their own
            data = b"str " + value.encode("utf-8", "surrogatepass")
            self._hash.update(b"%d:" % len(data) + data)
        elif value is None or isinstance(value, bool | int | str | bytes | float | complex):
            self.tag(_plain(value))
        elif isinstance(value, Tracer):
            raise UnhashableError("number that is being traced")
        elif isinstance(value, jax.Array | np.ndarray | np.generic):
            self._array(value)
        elif id(value) in self._open:
            self.tag(f"itself, {len(self._open) - self._open[id(value)]} up")
        else:
            self._open[id(value)] = len(self._open)
            try:
                if type(value) in (tuple, list):
                    self.write_all(type(value).__name__, value)
                elif not any(rule(self, value) for rule in self._rules):
                    self._inside(value)
            finally:
                del self._open[id(value)]

    def write_if_possible(self, value: Any) -> None:
        """Add a value that code refers to; one that cannot be hashed counts by its type."""
        try:
            self.write(value)
        except UnhashableError:
            self.tag(f"some {type(value).__qualname__}")

    def first_time(self, value: object) -> bool:
        """Return whether an object that counts once is new; if it is not, add its number."""
        if id(value) in self._numbers:
            self.tag(f"number {self._numbers[id(value)][0]}")
            return False
        self._numbers[id(value)] = len(self._numbers), value  # kept alive, so that its id stays its own
        return True

    def write_all(self, kind: str, values: Any) -> None:
        """Add values in their order."""
        values = list(values)
        self.tag(f"{kind} {len(values)}")
        for each in values:
            self.write(each)

    def write_sorted(self, kind: str, pairs: Any) -> None:
        """Add (key, values...) in an order that depends on the keys' hashes alone."""
        self.write_all(kind, sorted(pairs, key=lambda pair: self._alone(pair[0])))

    def _alone(self, value: Any) -> str:
        if type(value) is str:
            return _digest_of_text(value)
        writer = Writer(self._rules)
        writer.write(value)
        return writer.hexdigest()

    def _inside(self, value: Any) -> None:
        if isinstance(value, Mapping) and type(value).__module__ in ("builtins", "types", "collections"):
            self.write_sorted("mapping", value.items())
        elif isinstance(value, Set) and type(value).__module__ == "builtins":
            self.write_sorted("set", ((each,) for each in value))
        elif isinstance(value, np.dtype):
            self.tag(f"dtype {value}")
        else:
            self._object(value)

    def _array(self, value: Any) -> None:
        if isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
            self.tag(f"key {jax.random.key_impl(value)}")
            value = jax.random.key_data(value)
        array = np.asarray(value)
        self.tag(f"array {array.dtype.newbyteorder('=').name} {array.shape}")
        if array.dtype.hasobject:
            self.write_all("elements", array.ravel().tolist())
        else:
            big = array.dtype.byteorder == ">"
            self._hash.update(np.ascontiguousarray(array.byteswap() if big else array).tobytes())

    def _object(self, value: object) -> None:
        """Add an object as copying and pickling take it apart: its class, its arguments and its fields."""
        try:
            parts = value.__reduce_ex__(4)
        except Exception as error:  # whatever a class raises here, it cannot be taken apart
            raise UnhashableError(type(value).__qualname__) from error
        if isinstance(parts, str):
            self.tag(f"named {type(value).__qualname__} {parts}")
            return
        made, arguments, state, items, pairs = (*parts, None, None, None)[:5]
        if isinstance(state, dict):
            state = {name: each for name, each in state.items() if name not in NAMES}
        self.write_all("object", (made, arguments, state, list(items or ()), list(pairs or ())))


Rule = Callable[[Writer, Any], bool]


@functools.cache
def _digest_of_text(text: str) -> str:
    writer = Writer()
    writer.write(text)
    return writer.hexdigest()


def _plain(value: bool | int | float | complex | str | bytes | None) -> str:
    match value:
        case bool() | None:
            return f"{value}"
        case int():
            return f"int {int(value):x}"
        case float():
            return f"float {float(value).hex()}"
        case complex():
            return f"complex {value.real.hex()} {value.imag.hex()}"
        case str():
            return f"str {str.__str__(value)}"
        case _:
            return f"bytes {value.hex()}"
