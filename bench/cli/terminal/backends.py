"""Where cells run: on which device, in how many processes, and how Ctrl-C stops them."""

import enum
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import jax

from bench.cli.terminal import interrupt
from bench.cli.terminal.lines import echo_error
from bench.errors import UsageError
from bench.machine import compilation, threads
from bench.sweep import executors
from bench.sweep.execute import execute_in_worker, execute_remotely
from bench.sweep.observer import AbstractObserver
from bench.sweep.schedule import Backend, in_process


class Device(enum.StrEnum):
    """Kinds of device."""

    cpu = "cpu"
    gpu = "gpu"


def choose_device(device: Device | None) -> None:
    """Compute on `device`, or on JAX's own choice. In time only before JAX first computes.

    Raises UsageError if JAX finds no such device.
    """
    if device is Device.cpu:
        os.environ["JAX_PLATFORMS"] = "cpu"  # for worker processes, which inherit it
        jax.config.update("jax_platforms", "cpu")  # for this process: JAX read the variable when it was imported
    if device is Device.gpu and jax.default_backend() != "gpu":
        raise UsageError(f"--device gpu, but JAX finds only: {', '.join(map(str, jax.devices()))}.")


def enable_cache() -> None:
    """Keep compiled programs, or print in one line why they are not kept."""
    if problem := compilation.enable_cache():
        echo_error(f"bench: {problem}")


def default_workers(cells: int, foreign: bool = False) -> int:
    """Number of worker processes for so many cells: one for each core, or 0 on a GPU or where one would do.

    Seeds that are trained together in one program save compilation but no time on a CPU; on a GPU they save time. Code
    from elsewhere (`foreign`) gets a process of its own on a CPU: it may end its process, with any status.
    """
    if jax.default_backend() != "cpu":
        return 0
    number = min(len(threads.cores()), cells)
    return number if number > 1 or foreign else 0


@contextmanager
def open_backend(
    folder: Path,
    observer: AbstractObserver,
    workers: int | None,
    cluster: str | None = None,
    limit: float | None = None,
) -> Iterator[Backend]:
    """Open the Dask cluster at the address `cluster`, or so many workers, or this process without either.

    folder: where the logs of workers go
    observer: is told what a reader must know; the first Ctrl-C stops the cells at their next checkpoint
    limit: seconds that a cell may take
    """
    stop = executors.SPAWN.Event()
    with interrupt.handled(stop, observer.say):
        if cluster:
            with executors.cluster(cluster) as executor:
                from distributed.scheduler import KilledWorker  # an optional extra

                call = partial(execute_remotely, limit=limit)
                yield Backend(executor, call, sys.maxsize, stop.is_set, distant=True, losses=(KilledWorker,))
        elif workers:
            with executors.Workers(workers, stop, limit, folder / "logs") as executor:
                yield Backend(executor, execute_in_worker, workers, stop.is_set)
        else:
            yield in_process(observer, stop.is_set, limit)
