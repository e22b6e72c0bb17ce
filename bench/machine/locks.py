"""Locks between processes, so that two runs on one folder never train the same cell twice. No JAX."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench.errors import UsageError

try:
    import fcntl
except ImportError as error:  # Windows
    raise UsageError(
        "folders of results need the file locks of Linux or macOS (fcntl), which this system lacks. On Windows, run "
        "it in the Windows Subsystem for Linux."
    ) from error


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds. The kernel releases it when the process dies, in any way, so none is ever stale.

    It works between machines over NFS, if the server supports locks (Linux: all but `nolock` mounts).
    """

    path: Path
    file: IO[str]

    def release(self) -> None:
        """Release the lock. The file is deleted first: a process that opened it before sees that it is gone."""
        with suppress(OSError):
            self.path.unlink()
        with suppress(OSError):  # its text never reached a full disk
            self.file.close()


def acquire(path: Path, wait: bool = False) -> Lock | None:
    """Acquire the lock of that name. Return None if another process holds it, unless told to wait. Raises OSError.

    The file says who holds the lock, for people and for `bench status`.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A planted link must not lead the text elsewhere.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        file = os.fdopen(descriptor, "a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(file, path):
                with suppress(OSError):  # on a full disk the kernel's lock still holds; the text only informs
                    file.truncate(0)
                    file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
                    file.flush()
                return Lock(path, file)
            file.close()  # it was released and deleted after it was opened here: try the new one
        except BlockingIOError:
            file.close()
            return None
        except BaseException:
            file.close()
            raise


def holder(path: Path) -> dict[str, Any] | None:
    """Return who holds the lock of that name (host, pid), None if nobody does. Acquires nothing."""
    try:
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return json.loads(file.read() or "{}")
    except OSError:
        pass
    return None


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Wait for a lock, and hold it inside a `with` block; without one where the file system has no locks."""
    try:
        lock = acquire(path, wait=True)
    except OSError:
        lock = None
    try:
        yield
    finally:
        if lock:
            lock.release()


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
