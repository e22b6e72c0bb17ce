"""`bench pace`: how many updates fit the same time, as a suite."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench import registry
from bench.cli.terminal.backends import enable_cache
from bench.cli.terminal.lines import echo
from bench.cli.terminal.tables import print_table
from bench.errors import UsageError
from bench.machine import threads
from bench.machine.processor import cpu_model
from bench.records.files import write_atomically
from bench.report.text import Table, number_column, text_column
from bench.suite import SHIPPED_FOLDER, Suite, load
from bench.tuning.equal_compute import MatchedUpdates, cpu_seconds, match_updates, suite_text

COLUMNS = text_column("method"), number_column("default s"), number_column("s"), text_column("settings")


def command(
    suite: Annotated[str, typer.Argument(help="A suite whose methods are to take equally long, e.g. paper.")],
    out: Annotated[Path, typer.Option(help="The suite file to write, e.g. bench/suites/paper-compute.toml.")],
    seconds: Annotated[
        float | None,
        typer.Option(min=0, help="CPU seconds of a run; by default those of the slowest method with its defaults."),
    ] = None,
    task: Annotated[str | None, typer.Option(help="The task to time on; the suite's first by default.")] = None,
) -> None:
    """Scale each method's updates between environment steps until its runs take the same CPU seconds.

    Writes a copy of the suite with these counts as settings. Methods that make no updates but those that their
    environment steps pay for stay as they are. Have nothing else run on the machine.
    """
    loaded = load(suite)
    threads.use_one()
    enable_cache()
    name = task or loaded.tasks[0]
    timed = registry.task(name)
    budget = loaded.budget.on(timed.num_steps)
    alone = {}
    for method in _scalable_methods(loaded):
        alone[method] = cpu_seconds(timed, registry.method(method), budget)
        echo(f"{method}: {alone[method]:.3g} CPU seconds with its defaults")
    target = seconds or max(alone.values())
    matched = [match_updates(method, timed, budget, taken, target) for method, taken in alone.items()]
    path = Path(suite) if suite.endswith(".toml") else SHIPPED_FOLDER / f"{suite}.toml"
    base = path.read_text(encoding="utf-8")
    write_atomically(out, suite_text(base, loaded.name, name, target, cpu_model(), matched))
    _show(matched, target)
    echo(out)


def _scalable_methods(suite: Suite) -> list[str]:
    """The methods of a suite whose updates can be scaled. Raises UsageError for none, and for one with settings."""
    methods = [method for method in suite.methods if registry.method(method).paced]
    if not methods:
        raise UsageError(f"suite '{suite.name}' has no method that chooses its number of updates: nothing to scale.")
    if settled := [method for method in methods if method in suite.settings]:
        raise UsageError(f"suite '{suite.name}' has settings of its own for {', '.join(settled)}: give one without.")
    return methods


def _show(matched: Sequence[MatchedUpdates], target: float) -> None:
    rows = [
        (m.method, f"{m.default_seconds:.3g}", f"{m.seconds:.3g}", ", ".join(f"{k}={v}" for k, v in m.settings.items()))
        for m in matched
    ]
    print_table(Table(f"{target:.3g} CPU seconds a run", COLUMNS, rows))
