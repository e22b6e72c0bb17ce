"""Errors that a user can mend, and one sentence for every misspelt name."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """Something was asked for that cannot be. The message says what, what was given, and what to do; the command line
    prints it as one line and exits with status 2."""


class ContractError(AssertionError):
    """What a task or a method does that it must not."""


def require(condition: object, otherwise: str) -> None:
    """Raise ContractError with what is wrong unless the condition is true."""
    if not condition:
        raise ContractError(otherwise)


def did_you_mean(what: str, name: str, known: Iterable[str]) -> str:
    """What was asked for, and the nearest known name, or all of them if none is near."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known)}."
    return f"unknown {what} '{name}'. {hint}"
