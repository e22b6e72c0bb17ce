"""`bench validate`: does a task or a method of one's own fit the harness?"""

import sys
from typing import Annotated

import typer

from bench import registry
from bench.cli.terminal.options import parse_settings
from bench.cli.terminal.tables import print_table
from bench.contract.checks import run_checks
from bench.report.text import Table, text_column

COLUMNS = text_column("check"), text_column(""), text_column("what is wrong")


def command(
    name: Annotated[str, typer.Argument(help="A method or a task: its name, or module:attr.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME.field=value, e.g. sac.batch=16; may be repeated.")
    ] = None,
) -> None:
    """Run the contract of a method or a task, and print what passes and what fails.

    Exit status: 0 all checks pass, 1 some fail, 2 wrong usage.
    """
    extra = parse_settings(settings or [])
    registry.check_known(extra, [name], [])
    results = list(run_checks(registry.method_or_task(name, extra.get(name))))
    rows = [(check, "FAILS" if wrong else "passes", wrong) for check, wrong in results]
    print_table(Table(name, COLUMNS, rows))
    if any(wrong for _, wrong in results):
        sys.exit(1)
