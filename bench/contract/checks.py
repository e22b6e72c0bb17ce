"""The contract of tasks and methods: the checks of `bench validate`, which the tests walk too.

A check is a function of a MethodUnderTest or a TaskUnderTest that raises ContractError with what is wrong.
"""

from collections.abc import Callable, Iterator
from functools import partial

from bench.contract.method import METHOD_CHECKS, MethodUnderTest
from bench.contract.task import TASK_CHECKS, TaskUnderTest
from bench.errors import ContractError
from bench.method import AbstractMethod
from tasks.base import AbstractTask


def run_checks(subject: AbstractMethod | AbstractTask) -> Iterator[tuple[str, str]]:
    """Yield each check's name and what is wrong, "" if nothing is. An exception of the subject is wrong too."""
    if isinstance(subject, AbstractMethod):
        method = MethodUnderTest(subject)
        yield from ((name, _fault(partial(check, method))) for name, check in METHOD_CHECKS.items())
    else:
        task = TaskUnderTest(subject)
        yield from ((name, _fault(partial(check, task))) for name, check in TASK_CHECKS.items())


def _fault(check: Callable[[], None]) -> str:
    try:
        check()
    except ContractError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"
    return ""
