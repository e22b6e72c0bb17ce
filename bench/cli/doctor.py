"""`bench doctor`: what this machine would write into records, and what would make them hard to compare."""

import json
from typing import Annotated, Any

import typer


def command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the provenance that every record of this machine carries, and warn of what makes results incomparable."""
    from bench.machine import compilation
    from bench.machine.provenance import provenance, warnings

    stamp = provenance()
    found: dict[str, Any] = stamp | {"compilation_cache": str(compilation.cache_folder_in_use())}
    if as_json:
        typer.echo(json.dumps(found | {"warnings": warnings(stamp)}, indent=1))
        return
    from bench.cli.terminal.tables import print_table
    from bench.report.text import Table

    def flat(value: Any) -> str:
        return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)

    print_table(Table("this machine", ("what", "value"), [(name, flat(value)) for name, value in found.items()]))
    for warning in warnings(stamp):
        typer.echo(f"warning: {warning}", err=True)
