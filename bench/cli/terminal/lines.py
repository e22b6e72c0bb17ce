"""The door through which every text goes to the terminal. Names, settings and errors in it are data."""

import typer

from bench.machine.printing import inert, shortened

MAX_ERROR = 2000  # characters of an error that are shown


def echo(text: object = "", err: bool = False) -> None:
    """Print a line or several, on the standard error if `err`."""
    typer.echo(inert(str(text)), err=err)


def echo_error(text: object) -> None:
    """Print an error on the standard error: one line, whatever it quotes, and of a long one its start and end."""
    echo(shortened("\\n".join(str(text).strip().splitlines()), MAX_ERROR), err=True)


def echo_command(line: str) -> None:
    """Print a line that a CI service is to obey. Its writer has escaped all that is data."""
    typer.echo(line)
