"""Lines of text on the terminal."""

import typer

from bench.machine.printing import inert


def echo(text: object = "", err: bool = False) -> None:
    """Print a line, on the standard error if `err`. Names, settings and errors in it are data."""
    typer.echo(inert(str(text)), err=err)
