"""`bench check`: has anything become worse? The regression gate for CI."""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.analysis.scores import Cells
    from bench.gate.calibration import Calibration
    from bench.gate.regression import Check, Thresholds


def command(
    baseline: Annotated[Path, typer.Option(help="Folder with the records to compare with.")],
    candidate: Annotated[
        Path | None, typer.Option(help="Folder with the records to judge; with --run, where they are written.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--run", metavar="SUITE", help="Run this suite now to produce the candidate.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Of the candidate: for --run (the suite's by default), --calibrate (2).")
    ] = None,
    tasks: Annotated[list[str] | None, typer.Option("--task", help="Only this task; may be repeated.")] = None,
    methods: Annotated[list[str] | None, typer.Option("--method", help="Only this method; may be repeated.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Ask for equality bit by bit, as on one machine.")] = False,
    effect: Annotated[float, typer.Option(help="Differences of score smaller than this do not matter.")] = 0.02,
    detect: Annotated[
        float, typer.Option(help="The drop of score that must not be missed: sets how many seeds do.")
    ] = 0.2,
    alpha: Annotated[float, typer.Option(help="Accepted share of false alarms among alarms.")] = 0.05,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the verdicts as JUnit XML.")] = None,
    github: Annotated[
        bool | None, typer.Option("--github/--no-github", help="Annotate a GitHub workflow; by default where in one.")
    ] = None,
    repetitions: Annotated[
        int | None,
        typer.Option("--calibrate", metavar="N", min=1, help="Measure false alarms on N splits of the baseline."),
    ] = None,
) -> None:
    """Compare two sets of records: same, better, worse, or not enough seeds to tell, for each cell.

    Exit status: 0 no regression, 1 a regression, 2 wrong usage, 3 something could not be told.
    """
    from bench.errors import UsageError
    from bench.gate import junit
    from bench.gate.regression import Thresholds, check, check_exactly, only
    from bench.records import reference
    from bench.records.files import write_atomically

    limits = Thresholds(effect, detect, alpha)
    old = only(read(baseline), tasks or (), methods or ())
    if not old:
        raise UsageError(f"--baseline {baseline} has no records of these tasks and methods.")
    if repetitions is not None:
        show_calibration(calibration(old, seeds or 2, repetitions, limits), limits)
        return
    if suite is not None:
        with tempfile.TemporaryDirectory() as folder:
            found = run(suite, candidate or Path(folder), tasks or [], methods or [], seeds)
    elif candidate is not None:
        found = read(candidate)
    else:
        raise UsageError("bench check needs --candidate DIR, or --run SUITE to produce the candidate.")
    new = only(found, tasks or (), methods or ())
    result = check_exactly(old, new) if exact else check(old, new, reference.known(), limits)
    show(result, limits)
    if junit:
        try:
            write_atomically(junit, junit.junit(result))
        except OSError as error:
            raise UsageError(f"cannot write {junit}: {error.strerror}.") from error
    if os.environ.get("GITHUB_ACTIONS") == "true" if github is None else github:
        for line in junit.annotations(result):
            typer.echo(line)
    sys.exit(result.status)


def read(folder: Path) -> "Cells":
    """The records of a folder by cell; its references are known from now on. Raises UsageError."""
    from bench.analysis import scores
    from bench.cli.report import read_records

    return scores.group_by_cell(read_records(folder))


def run(name: str, folder: Path, tasks: list[str], methods: list[str], seeds: int | None) -> "Cells":
    """The cells of a suite, run now whatever `folder` holds."""
    from bench.suite import load

    wanted = load(name).cells(tasks, methods, seeds)

    from bench.analysis import scores
    from bench.run import run as run_cells  # imports JAX

    typer.echo(f"running {len(wanted)} cells of {name}")
    records = run_cells(wanted, folder, again=True)
    return scores.group_by_cell(records)


def calibration(baseline: "Cells", seeds: int, repetitions: int, limits: "Thresholds") -> "Calibration":
    """The gate measured on the cells of the baseline that have scores."""
    import numpy as np

    from bench.analysis import scores
    from bench.gate.calibration import calibrate_gate
    from bench.records import reference

    known = reference.known()
    scored = {}
    for key, runs in baseline.items():
        found = known.get(runs[0].fingerprint)
        if found is not None and found.headroom is not None:
            values = scores.clipped(scores.scores(runs, found))
            scored[key] = {run.seed: float(s) for run, s in zip(runs, values, strict=True)}
    return calibrate_gate(scored, seeds, repetitions, limits, np.random.default_rng(0))


def show(check: "Check", limits: "Thresholds") -> None:
    """Print the verdicts, the gaps and what they rest on."""
    from bench.cli.terminal.tables import print_table as show_table
    from bench.gate import summary
    from bench.gate.power import POWER
    from bench.report.text import Table, number_column, text_column

    rows = []
    for c in sorted(check.verdicts, key=lambda c: list(summary.WORDS).index(c.verdict)):
        tested = c.test in ("paired", "unpaired")
        rows.append(
            (
                c.cells[0].method,
                summary.where(c),
                summary.WORDS[c.verdict],
                f"{c.difference:+.3f}" if tested else "",
                f"{c.p_value:.2g}" if tested else c.test,
                f"{c.seeds[1]} : {c.seeds[0]}",
                f"{c.detectable:.3f}" if tested and c.detectable < 2 else "",
                f"{c.enough_seeds or '?'} seeds" if c.verdict == "unclear" else "",
            )
        )
    columns = (
        text_column("method"),
        text_column("on"),
        text_column("verdict"),
        number_column("change"),
        number_column("p"),
        number_column("seeds"),
        number_column("finds"),
        number_column("needs"),
    )
    show_table(Table("Candidate against baseline", columns, rows))
    for c in check.verdicts:
        if c.verdict in ("worse", "differs"):
            typer.echo(f"{summary.title(c)}: {summary.one_line(c)}\n{summary.by_task(c)}".rstrip())
    for note in check.notes:
        typer.echo(f"Note: {note}")
    for key, why in check.not_compared:
        typer.echo(f"Not compared: {key.method} on {key.grid} of {key.suite}: {why}.")
    words = {0: "no regression", 1: "REGRESSION", 3: "not everything could be told"}
    typer.echo(
        "change: of the mean score; seeds: of candidate and baseline; finds: drops that would have been found with a "
        f"chance of {POWER:.0%}; needs: seeds that would find one of {limits.detect:g}."
    )
    typer.echo(
        f"{words[check.status]} (differences below {limits.effect:g} do not matter; a drop of {limits.detect:g} "
        "must not be missed)"
    )


def show_calibration(found: "Calibration", limits: "Thresholds") -> None:
    """Print the measured rates with their 95 % intervals."""
    from scipy.stats import binomtest

    def share(count: int, total: int) -> str:
        low, high = binomtest(count, total).proportion_ci(method="wilson")
        return f"{count / total:.1%} [{low:.1%}, {high:.1%}]"

    typer.echo(
        f"{found.repetitions} checks of the baseline against itself, {found.seeds} seeds against the others, "
        f"alpha {limits.alpha:g}:"
    )
    typer.echo(f"  false alarms: {share(found.false_alarms, found.repetitions)} of the checks")
    typer.echo(f"  not enough seeds to tell: {share(found.unclear, found.verdicts)} of the verdicts")
    for drop, count in found.found.items():
        typer.echo(f"  a drop of {drop:g} in one method is found in {share(count, found.repetitions)}")
