"""Typed decoding: contents of files to dataclasses, checked against the types of their fields. No JAX.

One type serves for reading, for checking and for the JSON Schema. A field may name a narrower type for its stored form
(`stored_as`). Fields that take no part in comparisons are not stored.
"""

import dataclasses
import typing
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Size = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]
Kind = TypeVar("Kind")


def stored_as(kind: Any) -> dict[str, Any]:
    """Return the metadata of a dataclass's field whose stored form has a narrower type than its annotation."""
    return {"stored as": kind}


class DecodeError(ValueError):
    """Contents that do not fit a type; the message says where and why, and does not name the file."""


class Decoder(Generic[Kind]):
    """Decode one kind of dataclass. Unknown and missing fields, wrong types and wrong ranges raise DecodeError.

    JSON's numbers are finite, so NaN and infinity are refused, as is a whole number in place of a truth value or the
    other way round. A whole number stands for a fractional one. Text must be Unicode: half a surrogate pair is refused.
    """

    def __init__(self, kind: type[Kind]):
        self._kind = kind
        hints = typing.get_type_hints(kind, include_extras=True)
        entries = [_entry(field, hints[field.name]) for field in dataclasses.fields(typing.cast(Any, kind))]
        self._struct = msgspec.defstruct(
            kind.__name__, [entry for entry in entries if entry], kw_only=True, forbid_unknown_fields=True
        )
        self._one = msgspec.json.Decoder(self._struct)
        self._many = msgspec.json.Decoder(list[self._struct])

    def decode(self, data: bytes) -> Kind:
        """Return the object in a JSON text."""
        try:
            return self._made(check(self._one.decode, data))
        except DecodeError as error:
            raise _version_error(data, self._struct) or error from error

    def decode_list(self, data: bytes) -> list[Kind]:
        """Return the list of objects in a JSON text."""
        return [self._made(each) for each in check(self._many.decode, data)]

    def convert(self, values: Any) -> Kind:
        """Return the object that a mapping, such as one of TOML, describes."""
        return self._made(check(msgspec.convert, values, self._struct))

    def schema(self, title: str) -> dict[str, Any]:
        """Return the JSON Schema of the stored form."""
        (found,), definitions = msgspec.json.schema_components([self._struct], ref_template="#/$defs/{name}")
        own = definitions.pop(found["$ref"].rpartition("/")[2])
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **own,
            "title": title,
            "additionalProperties": False,
            "$defs": definitions,
        }

    def _made(self, stored: Any) -> Kind:
        return self._kind(**msgspec.structs.asdict(stored))


def _entry(field: dataclasses.Field, kind: Any) -> tuple | None:
    """A field of the stored form; None for one that is not stored. The version of the schema is always there."""
    if not field.compare:
        return None
    kind = field.metadata.get("stored as", kind)
    if field.name == "schema":
        return field.name, kind
    if field.default_factory is not dataclasses.MISSING:
        return field.name, kind, msgspec.field(default_factory=typing.cast(Any, field.default_factory))
    return (field.name, kind) if field.default is dataclasses.MISSING else (field.name, kind, field.default)


class _Versioned(msgspec.Struct):
    """What every version of a schema has."""

    schema: int


def _version_error(data: bytes, struct: Any) -> DecodeError | None:
    """Say that a text is of another version than the type, if it is: all else may follow from that."""
    wanted = getattr(typing.get_type_hints(struct).get("schema"), "__args__", ())
    try:
        found = msgspec.json.decode(data, type=_Versioned).schema
    except (msgspec.MsgspecError, RecursionError):
        return None
    return DecodeError(f"schema {found}, this version reads {wanted[0]}") if wanted and found not in wanted else None


def check(call: Any, *arguments: Any, **named: Any) -> Any:
    """Call one of msgspec's functions; whatever a text makes it raise becomes a DecodeError."""
    try:
        return call(*arguments, **named)
    except RecursionError as error:
        raise DecodeError("nested too deeply") from error
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise DecodeError(str(error) or type(error).__name__) from error
