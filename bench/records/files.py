"""Files on disk: read only if they are ordinary files of a sane size, written atomically, moved out of the way."""

import errno
import itertools
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bench.errors import UsageError

MAX_BYTES = 64 * 2**20  # of a file that is read whole; a record has a few kB, the largest trajectories a few MB

OWN_FOLDERS = ("records", "trajectories", "checkpoints", "locks", "logs", "superseded", "gradients", "landscapes")
TEMPORARY = ".tmp"  # how the names of files end that are being written


class RecordError(ValueError):
    """A file that is not a record of this schema."""


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open an ordinary file for reading, inside a `with` block. Nothing else is waited for or read.

    Raises FileNotFoundError if nothing has that name, and RecordError, which names the file, for a folder, a pipe, a
    socket, a device, a link that leads nowhere, and a file that may not be read.
    """
    try:
        # A pipe without a writer would block here without O_NONBLOCK.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        if path.is_symlink():
            raise RecordError(f"{path}: a link that leads nowhere.") from None
        raise
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise RecordError(f"{path}: cannot be read ({_reason(error)}).") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RecordError(f"{path}: not an ordinary file.")
    with os.fdopen(descriptor, "rb") as file:
        try:
            yield file
        except OSError as error:  # a disk or a server that fails
            raise RecordError(f"{path}: cannot be read ({_reason(error)}).") from error


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Return the contents of an ordinary file of at most `limit` bytes. Raises what `open_regular` does."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = b"" if size > limit else file.read(limit + 1)
        size = max(size, len(data))
    if size > limit:
        raise RecordError(f"{path}: too large ({size} bytes; at most {limit} are read).")
    return data


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """Return the text of a UTF-8 file of at most `limit` bytes. Raises what `open_regular` does."""
    try:
        return read_file(path, limit).decode("utf-8-sig")  # editors on Windows begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not a text in UTF-8 ({error.reason} at byte {error.start}).") from error


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file so that it exists whole or not at all: a temporary file beside it, fsync, rename.

    Text is written as UTF-8. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file, temporary = _temporary(path)
    try:
        with file:
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(path: Path) -> tuple[BinaryIO, Path]:
    """Open a new file beside `path`. It is locked while it is open, so an unlocked one is a leftover of a kill."""
    while True:
        descriptor, name = tempfile.mkstemp(TEMPORARY, f".{path.name}-", path.parent)
        with suppress(OSError, ImportError):  # where there are no locks, nothing is swept up either
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:  # it was not swept up before it was locked
            return os.fdopen(descriptor, "wb"), Path(name)
        os.close(descriptor)


def refuse_links(folder: Path) -> None:
    """Raise UsageError for a folder of ours in a folder of results that is a link out of it.

    Files would be written, moved and deleted elsewhere. The folder of results itself may be a link.
    """
    root = os.path.realpath(folder)
    for own in (folder / name for name in OWN_FOLDERS):
        place = os.path.realpath(own)
        if own.is_symlink() and os.path.commonpath((root, place)) != root:
            raise UsageError(f"{own} is a link to {place}, outside of the folder. Link the whole folder of results.")


def sweep_up(folder: Path) -> None:
    """Delete the temporary files that killed writers have left in a folder and its folders."""
    for path in (*folder.glob(f".*{TEMPORARY}"), *folder.glob(f"*/.*{TEMPORARY}")):
        with suppress(OSError, ImportError):  # somebody holds it, or it is gone
            import fcntl

            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(descriptor)


def set_aside(path: Path, content: bytes | None = None) -> str:
    """Move what cannot be used, a file or anything else, to a new name. Return a sentence that says where it is.

    With `content`, write only this part of the file there. No other process takes the same name. Raises OSError if
    the content cannot be written.
    """
    names = (path.with_name(f"{path.name}.unusable-{n}") for n in itertools.count(1))
    if content is not None:
        aside = reserve(names)
        write_atomically(aside, content)
        return f"It is kept in {aside.name}"
    try:
        if stat.S_ISDIR(path.lstat().st_mode):  # it never takes the place of a file
            aside = next(name for name in names if not os.path.lexists(name))
        else:
            aside = reserve(names)
        path.rename(aside)
    except OSError as error:
        return f"It could not be moved ({error.strerror})"
    return f"It is kept as {aside.name}"


def reserve(places: Iterable[Path]) -> Path:
    """Return the first path where nothing is, which now has an empty file. Raises OSError."""
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            place.touch(exist_ok=False)
            return place
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))


def supersede(path: Path, content: bytes | None = None) -> None:
    """Move a file of a run, or that part of it, from its folder of results into `superseded/`. Raises OSError."""
    kept = path.parents[1] / "superseded"
    place = reserve(kept / f"{path.parent.name}-{n}" / path.name for n in itertools.count(1))
    if content is None:
        path.rename(place)
    else:
        write_atomically(place, content)
