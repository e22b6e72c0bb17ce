"""Locks between processes, so that two runs on one folder never do the same cell twice. No JAX."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True)
class Lock:
    """A lock that is held. The kernel drops it when its process dies, however that happens, so none is ever stale.

    Over NFS this works between machines too, where the server takes locks (Linux: all but `nolock` mounts).
    """

    path: Path
    file: IO[str]

    def release(self) -> None:
        """Let others have it. The file goes first: whoever opened it before sees that it is no longer there."""
        with suppress(OSError):
            self.path.unlink()
        with suppress(OSError):  # text that never reached a full disk
            self.file.close()


def acquire(path: Path, wait: bool = False) -> Lock | None:
    """The lock of that name; None if another process has it and we do not wait. Raises OSError.

    The file says who has the lock, for people and for `bench status`.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _same(file, path):
                with suppress(OSError):  # a full disk: the lock is the kernel's, the text only informs
                    file.truncate(0)
                    file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
                    file.flush()
                return Lock(path, file)
            file.close()  # released and deleted between our opening and our locking it: try the new one
        except BlockingIOError:
            file.close()
            return None
        except BaseException:
            file.close()
            raise


def holder(path: Path) -> dict[str, Any] | None:
    """Who holds the lock of that name (host, pid), None if nobody does; takes nothing."""
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
    """Wait for a lock, and hold it for a while. Raises OSError."""
    lock = acquire(path, wait=True)
    assert lock is not None
    try:
        yield
    finally:
        lock.release()


def _same(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
