"""What `bench gradients`, `landscape` and `claims` share: their defaults, where they compute, and how they end."""

import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import gradients, registry
from bench.cli.terminal.backends import default_workers, enable_cache, open_backend
from bench.cli.terminal.figures import can_draw, save_figure
from bench.cli.terminal.interrupt import exit_interrupted
from bench.cli.terminal.lines import echo, echo_error
from bench.cli.terminal.progress import CellLines
from bench.cli.terminal.tables import print_table
from bench.errors import UsageError
from bench.gradients import figures
from bench.gradients.records import measurements_csv
from bench.gradients.runner import Runner
from bench.gradients.summary import summaries
from bench.machine import threads
from bench.method import AbstractModelMethod
from bench.records.files import write_atomically
from bench.sweep.observer import Silent

DEFAULTS = Path(gradients.__file__).parent


def read_defaults(name: str) -> dict[str, Any]:
    """Read the table bench/gradients/NAME.toml."""
    return tomllib.loads((DEFAULTS / f"{name}.toml").read_text(encoding="utf-8"))


@contextmanager
def open_runner(folder: Path, workers: int | None, quiet: bool) -> Iterator[Runner]:
    """Work on a folder, in this process (0 workers) or in several; Ctrl-C once stops at the next checkpoint.

    JAX must not have computed before.
    """
    threads.use_one()
    enable_cache()
    if workers is None:
        workers = default_workers(len(threads.cores()))
    observer = Silent() if quiet else CellLines()
    with open_backend(folder, observer, workers) as backend:
        yield Runner(folder, backend, observer)


def check_models(names: Iterable[str]) -> None:
    """Raise UsageError for a name that is no method with a world model."""
    for name in names:
        if not isinstance(registry.method(name), AbstractModelMethod):
            raise UsageError(f"'{name}' fits no world model, so there is no gradient through one to look at.")


def write_measurements(runner: Runner) -> None:
    """Print the measurements of gradients, and write them as CSV and as a figure; do nothing if there are none."""
    measured = runner.measurements()
    if not measured:
        return
    for table in summaries(measured):
        print_table(table)
    file = runner.folder / "gradients.csv"
    write_atomically(file, measurements_csv(measured))
    echo(file)
    if can_draw():
        save_figure(figures.gradients(measured), runner.folder / "gradients.png")


def draw_landscapes(runner: Runner) -> None:
    """Draw a figure for each landscape."""
    found = runner.landscapes()
    if found and can_draw():
        for each in found:
            name = f"landscape-{each.task.replace(':', '.')}-seed{each.seed}.png"
            save_figure(figures.landscape(each), runner.folder / name)


def exit_unless_complete(runner: Runner) -> None:
    """Exit with status 130 if the work was interrupted, and with 1 if a part of it failed."""
    if runner.interrupted:
        exit_interrupted()
    if runner.failed:
        echo_error(f"bench: {runner.failed} parts failed; see above.")
        sys.exit(1)
