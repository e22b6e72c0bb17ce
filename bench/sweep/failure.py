"""What a reader is shown of an exception: the traceback, and last of all the user's own line."""

import re
import traceback
from pathlib import Path

from bench.machine.printing import printable

MAX_CHARACTERS = 20_000  # of a traceback, its end
MAX_MESSAGE = 500  # characters of a message in the last line
HARNESS = Path(__file__).parents[1]
HIDDEN_FRAMES = re.compile(r"^-+\nFor simplicity, JAX has removed its internal frames.*\n", re.MULTILINE)


def describe(error: BaseException) -> str:
    """Return the traceback without JAX's notes on hidden frames.

    Its last line is the exception with the user's own file and line.
    """
    text = printable(HIDDEN_FRAMES.sub("", "".join(traceback.format_exception(error)))[-MAX_CHARACTERS:])
    return f"{text.rstrip()}\n{in_one_line(error)}\n"


def in_one_line(error: BaseException) -> str:
    """Return the exception with the innermost file and line outside of the harness and of installed packages."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
        error = error.__cause__  # Python's own wrapping in a generator, which hides the user's line
    message = _first_line(error)
    summary = f"{type(error).__name__}: {message}" if message else type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(Path(frame.filename))]
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{summary}{where}"


def _first_line(error: BaseException) -> str:
    """The first line of an exception's message, which may be huge, or may itself raise."""
    try:
        text = str(error)
    except Exception as problem:  # the message is the user's code
        return f"its message raised {type(problem).__name__}"
    return printable(next(iter(text[:MAX_CHARACTERS].strip().splitlines()), "")[:MAX_MESSAGE])


def _is_users(file: Path) -> bool:
    return file.is_file() and HARNESS not in file.parents and not {"site-packages", "dist-packages"} & {*file.parts}
