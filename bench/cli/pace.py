"""`bench pace`: how many updates fit the same time, as a suite."""

from pathlib import Path
from typing import Annotated

import typer

from bench.machine import threads


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
    from bench.suite import SHIPPED, load

    loaded = load(suite)
    threads.use_one()
    from bench import registry
    from bench.cli.terminal.tables import print_table
    from bench.errors import UsageError
    from bench.machine import compilation
    from bench.machine.processor import cpu_model
    from bench.records.files import write_atomically
    from bench.report.text import Table
    from bench.tuning.equal_compute import cpu_seconds, match_updates, suite_text

    compilation.enable_cache()
    name = task or loaded.tasks[0]
    timed = registry.task(name)
    budget = loaded.budget.on(timed.num_steps)
    methods = [method for method in loaded.methods if registry.method(method).paced]
    if settled := [method for method in methods if method in loaded.settings]:
        raise UsageError(f"suite '{suite}' has settings of its own for {', '.join(settled)}: give one without.")
    alone = {}
    for method in methods:
        alone[method] = cpu_seconds(timed, registry.method(method), budget)
        typer.echo(f"{method}: {alone[method]:.3g} CPU seconds with its defaults")
    target = seconds or max(alone.values())
    paces = [match_updates(method, timed, budget, alone[method], target) for method in methods]
    path = Path(suite) if suite.endswith(".toml") else SHIPPED / f"{suite}.toml"
    base = path.read_text(encoding="utf-8")
    write_atomically(out, suite_text(base, loaded.name, name, target, cpu_model(), paces))
    rows = [
        (p.method, f"{p.default_seconds:.3g}", f"{p.seconds:.3g}", ", ".join(f"{k}={v}" for k, v in p.settings.items()))
        for p in paces
    ]
    print_table(Table(f"{target:.3g} CPU seconds a run", ("method", "default s", "s", "settings"), rows))
    typer.echo(out)
