"""Locks between processes, so that two runs on one folder never train the same cell twice. No JAX."""

import errno
import json
import os
import socket
import stat
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

MAX_TEXT = 1000  # characters of what a lock's file says that are read


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
        file = _open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, "a+")
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
        with _open(path, os.O_RDONLY, "r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found = json.loads(file.read(MAX_TEXT) or "{}")
                return found if isinstance(found, dict) else {}
    except OSError:
        return None
    except (ValueError, RecursionError):  # held by something else, or not yet written
        return {}
    return None


@contextmanager
def hold(path: Path) -> Iterator[bool]:
    """Wait for a lock, and hold it inside a `with` block; False where the file system has no locks."""
    try:
        lock = acquire(path, wait=True)
    except OSError:
        lock = None
    try:
        yield lock is not None
    finally:
        if lock:
            lock.release()


def sweep_up(folder: Path) -> None:
    """Delete the files of locks in a folder that nobody holds any more."""
    for path in folder.glob("*.lock"):
        with suppress(OSError):  # what is no ordinary file stays
            lock = acquire(path)
            if lock:
                lock.release()


def _open(path: Path, flags: int, mode: str) -> IO[str]:
    """Open a lock's file: no link of either kind, by which the text would go elsewhere, no pipe. Raises OSError."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not an ordinary file of one name", str(path))
    return os.fdopen(descriptor, mode, encoding="utf-8")


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
