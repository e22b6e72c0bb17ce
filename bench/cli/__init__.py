"""The command line: one file per sub-command, the only code that prints or exits. Commands import late."""

import sys

import typer

from bench.cli import (
    check,
    claims,
    doctor,
    gallery,
    gradients,
    landscape,
    pace,
    plot,
    reference,
    report,
    run,
    show,
    status,
    tune,
    validate,
)
from bench.cli import list as list_command
from bench.errors import UsageError

app = typer.Typer(
    help="Myriad optimal-control benchmark: train methods under one measured budget, and read the tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.command)
app.command("list")(list_command.command)
app.command("report")(report.command)
app.command("plot")(plot.command)
app.command("check")(check.command)
app.command("tune")(tune.command)
app.command("pace")(pace.command)
app.command("show")(show.command)
app.command("status")(status.command)
app.command("gradients")(gradients.command)
app.command("landscape")(landscape.command)
app.command("claims")(claims.command)
app.command("validate")(validate.command)
app.command("doctor")(doctor.command)
app.command("reference")(reference.command)
app.command("gallery")(gallery.command)


def main() -> None:
    """Run the command line; an error that a user can mend is one line and exit status 2."""
    try:
        app()
    except UsageError as error:
        typer.echo(f"bench: {error}", err=True)
        sys.exit(2)
