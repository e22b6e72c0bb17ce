"""Figures as files. No JAX."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.cli.terminal.lines import echo
from bench.errors import UsageError
from bench.machine.printing import printable


def save_figure(figure: Any, file: Path) -> None:
    """Write a figure of matplotlib in the format that the file's name asks for, and print the name.

    Raises UsageError.
    """
    from matplotlib.text import Text  # whoever drew the figure has imported it

    for text in figure.findobj(Text):  # names are among them
        text.set_text(printable(text.get_text()))
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:  # no such folder; no such format
        raise UsageError(f"cannot write {file}: {error}") from error
    echo(file)


def can_draw() -> bool:
    """Whether matplotlib is installed; where it is not, print how to install it."""
    installed = find_spec("matplotlib") is not None
    if not installed:
        echo("No figure: it needs pip install 'myriad-bench[plot]'.", err=True)
    return installed
