"""Types and ranges of settings.

A range is declared in a field's type: `batch: Count = 64`, `rate: Annotated[float, Within(0, 1)] = 0.1`. Methods, tasks
and the keyword arguments of a model's class declare them alike. No JAX here.
"""

import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

from bench.errors import UsageError, shown

SMALLEST = 1.2e-38  # what is smaller is 0 to a processor that computes in single precision
KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


class SettingError(UsageError):
    """An unknown name, or a setting that does not exist, has the wrong type, or is out of its range."""


@runtime_checkable
class Range(Protocol):
    """A part of the range of a setting; one of a user's own has this method."""

    def fault(self, name: str, value: Any, settings: Mapping[str, Any]) -> str:
        """Return what is allowed, to be read after "must", or "" for a value that is; `settings` stand beside it."""
        ...


@dataclass(frozen=True)
class Within:
    """Finite numbers from `low` to `high`; `open_low` and `open_high` leave the ends out."""

    low: int | float = -math.inf
    high: int | float = math.inf
    open_low: bool = False
    open_high: bool = False

    def fault(self, name, value, settings):
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        if 0 < abs(value) < SMALLEST:
            return f"be 0 or at least {SMALLEST:g} in size"
        if math.isfinite(value) and above and below:
            return ""
        ends = []
        if self.low > -math.inf:
            ends.append(f"above {self.low:g}" if self.open_low else f"at least {self.low:g}")
        if self.high < math.inf:
            ends.append(f"below {self.high:g}" if self.open_high else f"at most {self.high:.15g}")
        return f"be {' and '.join(ends) or 'finite'}"


@dataclass(frozen=True)
class MultipleOf:
    """Multiples of a whole number."""

    number: int

    def fault(self, name, value, settings):
        return f"be a multiple of {self.number}" if value % self.number else ""


@dataclass(frozen=True)
class Divides:
    """Numbers of which `times` divide another setting."""

    other: str
    times: int = 1

    def fault(self, name, value, settings):
        whole = settings[self.other]
        uneven = not value or whole % (self.times * value)
        return f"be such that {self.times} * {name} divides {self.other} = {whole}" if uneven else ""


@dataclass(frozen=True)
class NotBelow:
    """Numbers that are not below another setting."""

    other: str

    def fault(self, name, value, settings):
        least = settings[self.other]
        return f"be at least {self.other} = {least}" if value < least else ""


Count = Annotated[int, Within(1, 10**6)]
Width = Annotated[int, Within(1, 2**14)]  # units of a layer
Depth = Annotated[int, Within(1, 100)]  # layers
Positive = Annotated[float, Within(0, 10**6, open_low=True)]
NotNegative = Annotated[float, Within(0, 10**6)]
Share = Annotated[float, Within(0, 1)]
PositiveShare = Annotated[float, Within(0, 1, open_low=True)]  # learning rates too
Finite = Annotated[float, Within(-(10**6), 10**6)]


def kind(hint: Any) -> Any:
    """Return the type of a setting without its range."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def convert(setting: str, value: Any, hint: Any) -> Any:
    """Convert `value`, text from the command line or a value of TOML, to the type `hint`. Raises SettingError."""
    hint = kind(hint)
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if value in choices:
            return value
        raise SettingError(f"{setting} must be one of {', '.join(map(repr, choices))}, got {shown(value)}.")
    if hint not in (int, float, bool, str):
        raise SettingError(f"{setting} is no number, text or truth value and cannot be set here, got {shown(value)}.")
    try:
        if hint is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if (hint is int and isinstance(value, float)) or isinstance(value, bool):
            raise ValueError
        if not isinstance(value, str if hint is str else str | int | float):
            raise ValueError
        return hint(value)
    except (ValueError, KeyError, OverflowError):
        raise SettingError(f"{setting} must be {KINDS[hint]}, got {shown(value)}.") from None


def fault(hint: Any, name: str, value: Any, settings: Mapping[str, Any]) -> str:
    """Return what a setting of type `hint` must be, with what it is, or "" for a value that is allowed.

    A type without a range allows everything. `settings` are all values beside it.
    """
    if typing.get_origin(hint) is not Annotated:
        return ""
    of_kind, *ranges = typing.get_args(hint)
    accepted = (int, float) if of_kind is float else of_kind
    if of_kind in KINDS and (not isinstance(value, accepted) or (isinstance(value, bool) and of_kind is not bool)):
        return f"{name} must be {KINDS[of_kind]}, got {shown(value)}"
    for each in ranges:
        if isinstance(each, Range) and (words := each.fault(name, value, settings)):
            return f"{name} must {words}, got {shown(value)}"
    return ""
