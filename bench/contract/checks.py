"""The contract of tasks and methods: the checks of `bench validate`, which the tests walk too.

A check is a function of a trial (see `bench.contract.method`, `bench.contract.task`) that raises ContractError with
what it found.
"""

from collections.abc import Callable, Iterator
from functools import partial

from bench.contract.method import METHOD_CHECKS, MethodTrial
from bench.contract.task import TASK_CHECKS, TaskTrial
from bench.errors import ContractError
from bench.method import AbstractMethod
from tasks.base import AbstractTask


def run_checks(subject: AbstractMethod | AbstractTask) -> Iterator[tuple[str, str]]:
    """Each check's name with what is wrong, "" if nothing is; an exception of the subject's own is wrong too."""
    if isinstance(subject, AbstractMethod):
        trial = MethodTrial(subject)
        yield from ((name, _wrong(partial(check, trial))) for name, check in METHOD_CHECKS.items())
    else:
        task_trial = TaskTrial(subject)
        yield from ((name, _wrong(partial(check, task_trial))) for name, check in TASK_CHECKS.items())


def _wrong(check: Callable[[], None]) -> str:
    try:
        check()
    except ContractError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"
    return ""
