"""`bench doctor`: what this machine would write into records, and what would make them hard to compare."""

import json
from typing import Annotated, Any

import typer

from bench.cli.terminal.lines import echo, echo_error
from bench.cli.terminal.tables import print_table
from bench.machine import compilation
from bench.machine.provenance import provenance, warnings
from bench.report.text import Table, text_column

COLUMNS = text_column("what"), text_column("value")


def command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the provenance that every record of this machine carries, and warn of what makes results incomparable."""
    origin = provenance()
    found: dict[str, Any] = origin | {"compilation_cache": str(compilation.cache_folder_in_use())}
    if as_json:
        echo(json.dumps(found | {"warnings": warnings(origin)}, indent=1))
        return
    print_table(Table("this machine", COLUMNS, [(name, _in_words(value)) for name, value in found.items()]))
    for warning in warnings(origin):
        echo_error(f"warning: {warning}")


def _in_words(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
