"""`bench export`: records -> tidy tables."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from bench.analysis.leaderboard import build
from bench.cli.terminal.leaderboards import read_records
from bench.cli.terminal.lines import echo, echo_error
from bench.cli.terminal.options import RecordsFolder
from bench.records.files import write_atomically
from bench.records.references import References
from bench.report.data_files import table_csv
from bench.report.export import curves_table, parquet, runs_table


def command(
    folder: RecordsFolder,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Where the tables are written.")],
) -> None:
    """Write tidy tables of a folder's records, as CSV and Parquet: a line for each run, and for each evaluation.

    Parquet needs pip install 'myriad-bench[parquet]'.

    Exit status: 0, or 1 where they cannot be written.
    """
    records, references = read_records(folder), References.beside(folder).by_fingerprint()
    tables = {"runs": runs_table(build(records, references)), "curves": curves_table(records, references)}
    has_parquet = find_spec("pyarrow") is not None
    try:
        for name, table in tables.items():
            files = {"csv": table_csv(table), **({"parquet": parquet(table)} if has_parquet else {})}
            for ending, data in files.items():
                write_atomically(to / f"{name}.{ending}", data)
                echo(to / f"{name}.{ending}")
    except OSError as error:
        echo_error(f"bench: cannot write the tables into {to}: {error.strerror or error}.")
        sys.exit(1)
    if not has_parquet:
        echo("No Parquet: it needs pip install 'myriad-bench[parquet]'.", err=True)
