"""CPU seconds of this process, with its threads and with the child processes that it has waited for. No JAX."""

import resource
import time


def cpu_seconds() -> float:
    """Return the CPU seconds spent so far; differences of two calls are the cost of what lies between."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
