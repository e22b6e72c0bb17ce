"""How many threads compute. No JAX.

XLA's CPU client starts NPROC of them, or one for each core, when JAX first computes. How work is shared out among them
decides the last bits of a sum, so a cell that is to end the same on any machine, under any executor, computes with one;
cores are for other cells.
"""

import os
import sys


def use_one() -> None:
    """Let this process, and those that it starts, compute with one thread, unless NPROC is set. In time only before JAX
    first computes."""
    os.environ.setdefault("NPROC", "1")


def count() -> int:
    """Threads that JAX computes with."""
    return int(os.environ.get("NPROC") or len(cores()))


def cores() -> set[int]:
    """Cores that this process may use."""
    return os.sched_getaffinity(0) if sys.platform == "linux" else set(range(os.cpu_count() or 1))
