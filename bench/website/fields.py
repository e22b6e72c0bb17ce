"""What the source of a task or a method says of its fields: the remark at the end of a field's line."""

import inspect
import re
from collections.abc import Mapping
from typing import Any

from bench.website.docstrings import escape_names

FIELD = re.compile(r"^    (\w+): [^=\n]+= .*?  # (.+)$", re.MULTILINE)


def remarks(kind: type) -> Mapping[str, str]:
    """The remarks on the fields of a class and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        if base.__module__.split(".")[0] in ("bench", "tasks", "baselines") or base is kind:
            found |= dict(FIELD.findall(inspect.getsource(base)))
    return found


def settings_table(settings: Mapping[str, Any], said: Mapping[str, str]) -> str:
    """A table of settings with their defaults and remarks."""
    rows = [f"| `{name}` | `{_shown(value)}` | {_cell(said.get(name, ''))} |" for name, value in settings.items()]
    return "| setting | default | |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return escape_names(text).replace("|", r"\|").replace("<", r"\<")
