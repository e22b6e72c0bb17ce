"""The number of threads that compute. No JAX.

XLA's CPU client starts NPROC threads, or one for each core, when JAX first computes. The division of work among threads
decides the last bits of a sum. A cell computes with one, so that it ends in the same bits on any machine and under any
executor; other cells use the other cores.
"""

import os
import sys

from bench.errors import UsageError


def use_one() -> None:
    """Let this process, and those that it starts, compute with one thread, unless NPROC is set.

    It has no effect after JAX first computes. Raises UsageError.
    """
    os.environ.setdefault("NPROC", "1")
    count()


def count() -> int:
    """Return the number of threads that JAX computes with. Raises UsageError."""
    wanted = os.environ.get("NPROC") or str(len(cores()))
    if not (wanted.isascii() and wanted.isdigit() and int(wanted)):
        raise UsageError(f"NPROC must be a whole number of at least 1, got '{wanted}'. Unset it to compute with one.")
    return int(wanted)


def cores() -> set[int]:
    """Return the cores that this process may use."""
    return os.sched_getaffinity(0) if sys.platform == "linux" else set(range(os.cpu_count() or 1))
