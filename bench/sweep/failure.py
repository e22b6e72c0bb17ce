"""What a reader is shown of an exception: the traceback, and last of all the user's own line."""

import re
import traceback
from pathlib import Path

HARNESS = Path(__file__).parents[1]
HIDDEN_FRAMES = re.compile(r"^-+\nFor simplicity, JAX has removed its internal frames.*\n", re.MULTILINE)


def describe(error: BaseException) -> str:
    """Return the traceback without JAX's notes on hidden frames.

    Its last line is the exception, with the innermost file and line outside of the harness and of installed packages.
    """
    text = HIDDEN_FRAMES.sub("", "".join(traceback.format_exception(error)))
    message = next(iter(str(error).strip().splitlines()), "")
    summary = f"{type(error).__name__}: {message}" if message else type(error).__name__
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(Path(frame.filename))]
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{text.rstrip()}\n{summary}{where}\n"


def _is_users(file: Path) -> bool:
    return file.is_file() and HARNESS not in file.parents and not {"site-packages", "dist-packages"} & {*file.parts}
