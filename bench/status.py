"""What the files of a folder say about a sweep, whether or not it still runs. No JAX."""

import json
from pathlib import Path
from typing import Any


def last_point(checkpoint: Path) -> dict[str, Any] | None:
    """The last evaluation in a checkpoint, as plain values; None if there is none to read."""
    try:
        with checkpoint.open("rb") as file:
            file.readline()
            return json.loads(file.readline())["curve"][-1]
    except (OSError, ValueError, KeyError, IndexError):
        return None
