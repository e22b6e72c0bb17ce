"""What `bench gradients`, `landscape` and `claims` share: where they compute, what they say, and how they end."""

import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bench.errors import UsageError
from bench.machine import threads

if TYPE_CHECKING:
    from bench.gradients.runner import Runner

TABLES = Path(__file__).parents[2] / "gradients"


def table(name: str) -> dict[str, Any]:
    """A literal table of bench/gradients."""
    return tomllib.loads((TABLES / f"{name}.toml").read_text(encoding="utf-8"))


def numbers(text: str, option: str) -> tuple[int, ...]:
    """'5,10,20' as ascending whole numbers. Raises UsageError."""
    try:
        found = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        found = ()
    if not found or found[0] < 1:
        raise UsageError(f"--{option} takes whole numbers of at least 1 with commas, e.g. 5,10,20, got '{text}'.")
    return found


@contextmanager
def opened(folder: Path, workers: int | None, quiet: bool) -> "Iterator[Runner]":
    """Work on a folder, in this process (0 workers) or in several; Ctrl-C once stops at the next checkpoint."""
    threads.use_one()
    from bench.cli.run import default_workers
    from bench.cli.terminal import interrupt
    from bench.gradients.runner import Runner
    from bench.machine import compilation
    from bench.sweep import executors
    from bench.sweep.execute import execute_in_worker
    from bench.sweep.executors import SPAWN
    from bench.sweep.observer import AbstractObserver, Silent
    from bench.sweep.schedule import Backend, in_process

    class Lines(AbstractObserver):
        """A line for each cell that begins, and one with its end."""

        def __init__(self):
            self.began = {}

        def skip(self, job):
            self.say(f"{_name(job)}  done by another run")

        def begin(self, job):
            self.began[job.lock] = time.monotonic()
            self.say(f"{_name(job)}  begins")

        def update(self, job, evaluation):
            pass

        def end(self, job, records):
            seconds = time.monotonic() - self.began[job.lock]
            self.say(f"{_name(job)}  {', '.join(sorted({r.status for r in records}))}  {seconds:.0f} s")

        def say(self, text):
            typer.echo(text, err=True)

    if workers is None:
        workers = default_workers(len(threads.cores()))
    observer = Silent() if quiet else Lines()
    stop = SPAWN.Event()
    compilation.enable_cache()
    with interrupt.handled(stop, observer.say):
        if workers:
            with executors.Workers(workers, stop, None, folder / "logs") as executor:
                backend = Backend(executor, execute_in_worker, workers, stop.is_set)
                yield Runner(folder, backend, observer)
        else:
            yield Runner(folder, in_process(observer, stop.is_set), observer)


def finish(campaign: "Runner") -> None:
    """Exit with 130 if it was interrupted, with 1 if something failed."""
    if campaign.interrupted:
        typer.echo("bench: interrupted. The same command goes on from here.", err=True)
        sys.exit(130)
    if campaign.failed:
        typer.echo(f"bench: {campaign.failed} parts failed; see above.", err=True)
        sys.exit(1)


def write_measurements(campaign: "Runner") -> None:
    """Print and write what was measured of gradients: a table, CSV, a figure."""
    from bench.cli.terminal.tables import print_table
    from bench.gradients import figures
    from bench.gradients.records import measurements_csv
    from bench.gradients.summary import summaries
    from bench.records.files import write_atomically

    measured, out = campaign.measurements(), campaign.folder
    if not measured:
        return
    for each in summaries(measured):
        print_table(each)
    write_atomically(out / "gradients.csv", measurements_csv(measured))
    typer.echo(out / "gradients.csv")
    if _can_draw():
        _save(figures.gradients(measured), out / "gradients.png")


def draw_landscapes(campaign: "Runner") -> None:
    """A figure for each landscape."""
    from bench.gradients import figures

    found = campaign.landscapes()
    if found and _can_draw():
        for each in found:
            name = f"landscape-{each.task.replace(':', '.')}-seed{each.seed}.png"
            _save(figures.landscape(each), campaign.folder / name)


def _save(figure: Any, file: Path) -> None:
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {file}: {error}") from error
    typer.echo(file)


def _can_draw() -> bool:
    """Whether matplotlib is installed; says what is left out without it."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        typer.echo("No figure: it needs pip install 'myriad-bench[plot]'.", err=True)
    return find_spec("matplotlib") is not None


def check_models(names: Sequence[str]) -> None:
    """Raises UsageError for a name that is no method with a world model, before anything is computed."""
    from bench import registry as known
    from bench.method import AbstractModelMethod

    for name in names:
        if not isinstance(known.method(name), AbstractModelMethod):
            raise UsageError(f"'{name}' fits no world model, so there is no gradient through one to look at.")


def _name(job: Any) -> str:
    return f"{job.cell.task_label}  {job.task.num_steps} steps  {job.cell.method_label}  {len(job.todo)} seeds"
