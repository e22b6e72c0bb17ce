"""Errors that a user can fix, and one sentence for every misspelt name."""

import difflib
from collections.abc import Iterable
from typing import Any


class UsageError(ValueError):
    """A mistake that the user can fix.

    The message says what is wrong, what was given and what to do. The command line prints it as one line and exits with
    status 2.
    """


class ContractError(AssertionError):
    """A task or a method breaks its contract."""


def require(condition: object, otherwise: str) -> None:
    """Raise ContractError with the message `otherwise`, unless the condition is true."""
    if not condition:
        raise ContractError(otherwise)


def did_you_mean(what: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, with the nearest known name, or with all of them if none is near."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known)}." if known else "There is none."
    given = name if len(name) < 80 else f"{name[:76]} ..."
    return f"unknown {what} '{given}'. {hint}"


def shown(value: Any) -> str:
    """Return a value as it is shown in an error: its start where it is long."""
    if isinstance(value, int) and abs(value) > 10**30:
        return "a whole number of more than 30 digits"
    text = repr(value)
    return text if len(text) < 80 else f"{text[:76]} ..."
