"""Lines of text on the terminal."""

import typer

from bench.machine.printing import inert


def echo(text: str = "", err: bool = False) -> None:
    """Print a line, on the standard error if `err`. Names, settings and errors in it are data."""
    typer.echo(inert(text), err=err)
