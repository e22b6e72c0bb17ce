"""Two folders of results side by side, printed and written. No JAX."""

from collections.abc import Iterable
from pathlib import Path

from bench.analysis.comparison import compare
from bench.analysis.scores import group_by_cell
from bench.cli.terminal.leaderboards import read_records
from bench.cli.terminal.lines import echo
from bench.cli.terminal.tables import console, fit, print_table
from bench.errors import UsageError
from bench.records.files import write_atomically
from bench.records.references import References
from bench.report.comparison import COMPARISON_FORMATS, LEGEND, comparison_tables


def write_comparison(a: Path, b: Path, formats: Iterable[str] | None) -> str:
    """Print the records of two folders side by side, and write `comparison.*` into the first.

    Return why a file could not be written, "" if all were. Raises UsageError.
    """
    wanted = list(COMPARISON_FORMATS if formats is None else formats)
    for name in wanted:
        if name not in COMPARISON_FORMATS:
            raise UsageError(f"two folders side by side are written as {', '.join(COMPARISON_FORMATS)}, got '{name}'.")
    compared = compare(
        group_by_cell(read_records(a)),
        group_by_cell(read_records(b)),
        References.beside(a).by_fingerprint(),
        References.beside(b).by_fingerprint(),
    )
    echo(f"A: {a}\nB: {b}")
    for table in comparison_tables(compared):
        print_table(fit(table, console().width))
    for text in (LEGEND, *(f"Note: {note}" for note in compared.notes)):
        echo(text)
    try:
        for name in wanted:
            file, render = COMPARISON_FORMATS[name]
            write_atomically(a / file, render(compared))
            echo(a / file)
    except OSError as error:
        return f"cannot write the comparison into {a}: {error.strerror or error}."
    return ""
