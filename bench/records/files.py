"""Atomic writes, and moving unusable files out of the way."""

import itertools
import os
import tempfile
from pathlib import Path


class RecordError(ValueError):
    """A file that is not a record of this schema."""


def write_atomically(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file so that it exists whole or not at all: a temporary file beside it, fsync, rename.

    Text is written as UTF-8. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def set_aside(path: Path) -> str:
    """Move a file that cannot be used to a new name beside it. Return a sentence that says where it is."""
    names = (path.with_name(f"{path.name}.unusable-{n}") for n in itertools.count(1))
    aside = next(name for name in names if not name.exists())
    try:
        path.rename(aside)
    except OSError as error:
        return f"It could not be moved ({error.strerror})"
    return f"It is kept as {aside.name}"


def supersede(folder: Path, stem: str) -> None:
    """Move all files of a run, by the start of their names, from the folders of `folder` into `superseded/`.

    Raises OSError.
    """
    for path in sorted(folder.glob(f"*/{stem}[-.]*")):
        places = (folder / "superseded" / f"{path.parent.name}-{n}" / path.name for n in itertools.count(1))
        to = next(place for place in places if not place.exists())
        to.parent.mkdir(parents=True, exist_ok=True)
        path.rename(to)
