"""Executors of cells: this process, worker processes, or a Dask cluster. No JAX.

Each is a `concurrent.futures.Executor`.
"""

import errno
import math
import multiprocessing
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError
from bench.machine import threads

if TYPE_CHECKING:
    from distributed.cfexecutor import ClientExecutor

START_ATTEMPTS = 3
LOOK_SECONDS = 1.0  # between looks at the log of a worker that works
MAX_LOG = 2**20  # bytes that a log keeps, half of them from its start
CUT = b"\n... (what was printed in between is left out: a log keeps its start and its end) ...\n"
ENDINGS: dict[int, str] = {
    signal.SIGKILL: " SIGKILL without a time limit is mostly the system's answer to a lack of memory.",
    signal.SIGTERM: " Another program sent it, or the sweep did because the method closed files that are not its own, "
    "such as the worker's connection, e.g. by os.closerange.",
}
SPAWN = multiprocessing.get_context("spawn")  # a fork of a process with XLA's threads hangs


class TimeLimitError(Exception):
    """A cell took longer than its limit."""


class LostWorkerError(Exception):
    """A worker process ended before its cell did."""


class InProcess(Executor):
    """An executor that makes each call at once, in the caller's thread."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Workers(Executor):
    """`number` spawned processes, each pinned to its share of this process's cores.

    A call that takes more than `limit` seconds is ended with its process, so no method can resist: TimeLimitError. A
    process that dies (out of memory, a crash) costs one call: LostWorkerError. The next call gets a new process. What
    workers print goes into files in the folder `logs`, which keep the start and the end of it.
    """

    def __init__(self, number: int, stop: Event, limit: float | None, logs: Path):
        # A process inherits the mask: Ctrl-C must not end it before it can ignore the signal.
        self._threads = ThreadPoolExecutor(
            number, initializer=signal.pthread_sigmask, initargs=(signal.SIG_BLOCK, [signal.SIGINT])
        )
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        cores = sorted(threads.cores())
        shares = [cores[i::number] or cores for i in range(number)]
        self._workers = [Worker(share, stop, limit, logs / f"worker-{i}.log") for i, share in enumerate(shares)]
        for worker in self._workers:
            self._idle.put(worker)

    def submit(self, fn, /, *args, **kwargs):
        return self._threads.submit(self._run, fn, *args, **kwargs)

    def _run(self, fn, *args, **kwargs):
        worker = self._idle.get()
        try:
            return worker.call(fn, *args, **kwargs)
        finally:
            self._idle.put(worker)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        for worker in self._workers:
            worker.close()


@contextmanager
def cluster(address: str) -> "Iterator[ClientExecutor]":
    """Open an executor on the Dask cluster whose scheduler is at `address`, e.g. tcp://10.0.0.1:8786.

    Workers may come and go: a call whose worker is lost is repeated on another. Raises UsageError.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(f"--cluster needs an extra: pip install 'myriad-bench[cluster]' ({error}).") from error
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:  # a time-out is an OSError
        raise UsageError(
            f"no Dask scheduler answers at {address} ({error}). Start one with `dask scheduler`."
        ) from error
    with client:
        yield client.get_executor(pure=False)


class Worker:
    """One process at a time: started when it is first needed, and again after it has died."""

    def __init__(self, cores: list[int], stop: Event, limit: float | None, log: Path):
        self._start = (cores, stop, log)
        self._limit, self._log = limit, log
        self._pool: ProcessPoolExecutor | None = None
        self._process: Any = None

    def call(self, fn: Callable, *args: Any, **kwargs: Any) -> Any:
        """Call `fn` in the process. Raises its exception, TimeLimitError or LostWorkerError."""
        pool = self._pool or self._open()
        log_start = self._log.stat().st_size if self._log.exists() else 0
        future = pool.submit(fn, *args, **kwargs)
        deadline = math.inf if self._limit is None else time.monotonic() + self._limit
        try:
            while not future.done():
                left = deadline - time.monotonic()
                if left <= 0:
                    self._process.kill()
                    self.close()
                    raise TimeLimitError(f"took more than {self._limit:g} s; its worker was ended")
                wait([future], min(left, LOOK_SECONDS))
                _shorten(self._log)
            return future.result()
        except BrokenProcessPool:
            self.close()  # first: the pool's thread may be the one that learns the exit status
            self._process.join()
            code = self._process.exitcode or 0
            name = next((each.name for each in signal.Signals if each == -code), f"signal {-code}")
            cause = f"by {name}" if code < 0 else f"with exit status {code}"
            printed = _read_from(self._log, log_start)
            raise LostWorkerError(f"{printed}its worker process was ended {cause}.{ENDINGS.get(-code, '')}") from None

    def close(self) -> None:
        """End the process, if there is one."""
        if self._pool:
            self._pool.shutdown()
        self._pool = None

    def _open(self) -> ProcessPoolExecutor:
        """Start a process; one that dies while it starts is replaced some times. Raises LostWorkerError."""
        for _ in range(START_ATTEMPTS):
            pool = ProcessPoolExecutor(1, SPAWN, _initialise_worker, self._start)
            try:
                pid = pool.submit(os.getpid).result()
            except BrokenProcessPool:
                pool.shutdown()
                continue
            running = [p for p in multiprocessing.active_children() if p.pid == pid]
            if running:
                self._pool, self._process = pool, running[0]
                return pool
            pool.shutdown()
        raise LostWorkerError(f"{START_ATTEMPTS} worker processes died while they started")


_stop: Event | None = None  # the sweep's event to stop; set once, when this worker process starts


def should_stop() -> bool:
    """Whether the sweep that this worker process belongs to has been asked to stop."""
    return _stop is not None and _stop.is_set()


def _initialise_worker(cores: list[int], stop: Event, log: Path) -> None:
    """Prepare a worker process, before it imports JAX."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    if sys.platform == "linux":
        os.sched_setaffinity(0, cores)
    threads.use_one()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # workers share a GPU's memory
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = _open_log(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:  # a full disk, or something else in the place of the folder or the log: what is printed is lost
        output = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Exit when the parent process ends; a worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _open_log(log: Path, flags: int) -> int:
    """Open a log: no link, no pipe, and no file that has a second name elsewhere. Raises OSError."""
    descriptor = os.open(log, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not an ordinary file of one name", str(log))
    return descriptor


def _shorten(log: Path) -> None:
    """Cut the middle out of a log that is too long. Its worker appends, so it goes on at the new end."""
    with suppress(OSError):
        if log.lstat().st_size <= MAX_LOG:
            return
        with os.fdopen(_open_log(log, os.O_RDWR | os.O_APPEND), "r+b", buffering=0) as file:
            file.seek(-MAX_LOG // 2, os.SEEK_END)
            tail = file.read(MAX_LOG // 2)
            file.truncate(MAX_LOG // 2)
            file.write(CUT + tail)


def _read_from(log: Path, start: int) -> str:
    """The text of a log from byte `start` on, at most its last 20 000 bytes; empty if it cannot be read."""
    with suppress(OSError), os.fdopen(_open_log(log, os.O_RDONLY), "rb") as file:
        size = file.seek(0, os.SEEK_END)
        first = start if start <= size else 0  # it was cut in the meantime, so all of its end is of this call
        file.seek(max(first, size - 20_000))
        return file.read(20_000).decode(errors="replace")
    return ""
