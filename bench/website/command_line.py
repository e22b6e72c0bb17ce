"""The reference of the command line, from the functions that the commands call."""

import enum
import importlib
import inspect
import typing
from collections.abc import Iterator
from typing import Any

from bench.cli import COMMANDS
from bench.website.docstrings import escape_names

HEAD = """# Command line

`python -m bench COMMAND`, or `myriad-bench COMMAND`. `--help` says the same.

"""


def page() -> str:
    """Write every command with its arguments and options."""
    contents = "".join(f"- [{name}](#{name}): {known.summary}\n" for name, known in COMMANDS.items())
    return HEAD + contents + "\n" + "\n".join(_command(name, known.module) for name, known in COMMANDS.items())


def _command(name: str, module: str) -> str:
    function = importlib.import_module(module).command
    parameters = list(_parameters(function))
    places = "".join(f" {word}" for word, _, is_option in parameters if not is_option)
    rows = [f"| `{_in_cell(word)}` | {meaning} |" for word, meaning, _ in parameters]
    table = "| | |\n| --- | --- |\n" + "\n".join(rows) + "\n" if rows else ""
    text = _escaped(inspect.getdoc(function) or "")
    return f"## {name}\n\n{text}\n\n```\npython -m bench {name}{places} [OPTIONS]\n```\n\n{table}"


def _parameters(function: Any) -> Iterator[tuple[str, str, bool]]:
    """The word of each parameter with what it takes, its meaning, and whether it is an option."""
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        kind, info = typing.get_args(hints[name])[:2]
        taken, repeated = _taken(kind)
        given = (info.default, *(info.param_decls or ()))  # the first name is taken for a default until it is parsed
        spelt = [word for word in given if isinstance(word, str) and word.startswith("-")]
        is_option = type(info).__name__ == "OptionInfo"
        word = ", ".join(spelt) or f"--{name.replace('_', '-')}" if is_option else info.metavar or name.upper()
        takes = f" {info.metavar or taken}" if is_option and taken else ""
        yield word + takes, _meaning(info.help or "", parameter.default, repeated), is_option


def _taken(kind: Any) -> tuple[str, bool]:
    """What an option takes, and whether it may be repeated; a flag takes nothing."""
    inner = [each for each in typing.get_args(kind) if each is not type(None)]
    if inner:
        taken, repeated = _taken(inner[0])
        return taken, repeated or typing.get_origin(kind) is list
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return "|".join(str(each.value) for each in kind), False
    return "" if kind is bool else kind.__name__.upper().replace("STR", "TEXT"), False


def _meaning(text: str, default: Any, repeated: bool) -> str:
    shown = default not in (None, False, inspect.Parameter.empty) and str(default) not in text
    more = f" Default: `{getattr(default, 'value', default)}`." if shown else ""
    return _escaped(text) + (" May be repeated." if repeated and "repeated" not in text else "") + more


def _escaped(text: str) -> str:
    return _in_cell(escape_names(text)).replace("<", r"\<")


def _in_cell(text: str) -> str:
    return text.replace("|", r"\|")
