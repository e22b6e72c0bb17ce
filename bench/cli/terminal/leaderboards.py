"""Records read from a folder, and the leaderboards printed and written beside them. No JAX."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from bench.analysis.leaderboard import build
from bench.claims.report import section
from bench.cli.terminal.lines import echo, echo_error
from bench.cli.terminal.tables import print_leaderboard
from bench.errors import UsageError
from bench.records import tuning
from bench.records.cell_file import read_records as read_all
from bench.records.files import RecordError, write_atomically
from bench.records.references import References
from bench.records.run import RunRecord
from bench.records.trajectory import trajectory_finder
from bench.records.tuning import Tuning
from bench.report import FORMATS


def warn(text: str) -> None:
    """Print a warning."""
    echo_error(f"warning: {text}")


def read_records(folder: Path) -> list[RunRecord]:
    """Read the records under `folder`, with a warning for each unreadable one. Raises UsageError if there are none."""
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}. Give one that `bench run` wrote, e.g. results/smoke.")
    records = []
    for found in read_all(folder):
        if isinstance(found, RecordError):
            warn(str(found))
        else:
            records.append(found)
    if not records:
        raise UsageError(f"no run records under {folder}. Give a folder that `bench run` wrote, e.g. results/smoke.")
    return records


def _tunings(folder: Path) -> Mapping[str, Tuning]:
    """The known tunings; without those of the folder, and with a warning, if they cannot be read."""
    try:
        return tuning.known_tunings(folder)
    except UsageError as error:
        warn(str(error))
        return tuning.read_tunings(tuning.PACKAGE_FILE)


def installed_formats() -> list[str]:
    """The formats of leaderboards whose packages are installed; print which one is left out, and why."""
    if find_spec("jinja2"):
        return list(FORMATS)
    echo("No leaderboard.html: it needs pip install 'myriad-bench[report]'.", err=True)
    return [name for name in FORMATS if name != "html"]


def write_leaderboards(folder: Path, formats: Iterable[str]) -> str:
    """Write the leaderboards of the records in `folder` beside the records, then print them and the files' names.

    `formats` are keys of `bench.report.FORMATS`. Return why a file could not be written, "" if all were. Raises
    UsageError if there are no records.
    """
    leaderboard = build(
        read_records(folder),
        References.beside(folder).by_fingerprint(),
        _tunings(folder),
        find=trajectory_finder(folder, warn),
    )
    leaderboard = replace(leaderboard, diagnostics=section(folder, warn))
    written, unwritten = [], ""
    try:
        for file, render in (item for name in formats for item in FORMATS[name].items()):
            write_atomically(folder / file, render(leaderboard))
            written.append(folder / file)
    except OSError as error:
        unwritten = f"cannot write the leaderboards into {folder}: {error.strerror or error}."
    print_leaderboard(leaderboard)
    for path in written:
        echo(path)
    return unwritten
