"""`bench check`: has anything become worse? The regression gate for CI."""

import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bench.analysis.scores import Cells, clipped_by_seed, group_by_cell
from bench.cli.terminal.leaderboards import read_records
from bench.cli.terminal.options import OnlyMethods, OnlyTasks
from bench.cli.terminal.tables import print_table
from bench.errors import UsageError
from bench.gate import junit as machine_readable
from bench.gate import regression, summary
from bench.gate.calibration import Calibration, calibrate_gate
from bench.gate.power import POWER
from bench.gate.regression import CellVerdict, Check, Thresholds
from bench.records.files import write_atomically
from bench.records.reference import FILE_NAME, Reference, References, read_references
from bench.report.text import Table, number_column, text_column
from bench.suite import load

COLUMNS = (
    text_column("method"),
    text_column("on"),
    text_column("verdict"),
    number_column("change", "mean score of the candidate less that of the baseline"),
    number_column("p", "p-value of the change, or how the cells were compared without one"),
    number_column("seeds", "of the candidate and of the baseline"),
    number_column("finds", "drops that would have been found with a chance of POWER"),
    number_column("needs", "seeds that would find a drop of --detect"),
)
STATUS = {0: "no regression", 1: "REGRESSION", 3: "not everything could be told"}


def command(
    baseline: Annotated[Path, typer.Option(help="Folder with the records to compare with.")],
    candidate: Annotated[
        Path | None, typer.Option(help="Folder with the records to judge; with --run, where they are written.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--run", metavar="SUITE", help="Run this suite now to produce the candidate.")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Seeds of the candidate: with --run by default the suite's number, with --calibrate by default 2.",
        ),
    ] = None,
    tasks: OnlyTasks = None,
    methods: OnlyMethods = None,
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
    limits = Thresholds(effect, detect, alpha)
    old = regression.only(group_by_cell(read_records(baseline)), tasks or (), methods or ())
    if not old:
        raise UsageError(f"--baseline {baseline} has no records of these tasks and methods.")
    references = References.beside(baseline)
    if repetitions is not None:
        _calibrate(old, references.by_fingerprint(), seeds or 2, repetitions, limits)
        return
    found, others = _candidate(candidate, suite, tasks or [], methods or [], seeds)
    new = regression.only(found, tasks or (), methods or ())
    if exact:
        result = regression.check_exactly(old, new)
    else:
        result = regression.check(old, new, references.updated(others).by_fingerprint(), limits)
    _show(result, limits)
    _report(result, junit, os.environ.get("GITHUB_ACTIONS") == "true" if github is None else github)
    sys.exit(result.status)


def _candidate(
    folder: Path | None, suite: str | None, tasks: list[str], methods: list[str], seeds: int | None
) -> tuple[Cells, Iterable[Reference]]:
    """The cells to judge and the references stored beside them: read from a folder, or of a suite that is run now.

    Finished cells of the suite are run once more. Raises UsageError.
    """
    if suite is None:
        if folder is None:
            raise UsageError("bench check needs --candidate DIR, or --run SUITE to produce the candidate.")
        return group_by_cell(read_records(folder)), read_references(folder / FILE_NAME).values()
    wanted = load(suite).cells(tasks, methods, seeds)
    from bench.run import run  # imports JAX, which a comparison of records does not need

    typer.echo(f"running {len(wanted)} cells of {suite}")
    with tempfile.TemporaryDirectory() as temporary:
        to = folder or Path(temporary)
        return group_by_cell(run(wanted, to, again=True)), read_references(to / FILE_NAME).values()


def _report(check: Check, junit: Path | None, github: bool) -> None:
    """Write the verdicts as JUnit XML, if a file is given, and as annotations of a workflow. Raises UsageError."""
    if junit:
        try:
            write_atomically(junit, machine_readable.junit(check))
        except OSError as error:
            raise UsageError(f"cannot write {junit}: {error.strerror}.") from error
    if github:
        for line in machine_readable.annotations(check):
            typer.echo(line)


def _show(check: Check, limits: Thresholds) -> None:
    """Print the verdicts, the gaps and what they rest on."""
    order = list(summary.WORDS)
    verdicts = sorted(check.verdicts, key=lambda v: order.index(v.verdict))
    print_table(Table("Candidate against baseline", COLUMNS, [_row(v) for v in verdicts]))
    for v in check.verdicts:
        if v.verdict in ("worse", "differs"):
            typer.echo(f"{summary.title(v)}: {summary.one_line(v)}\n{summary.by_task(v)}".rstrip())
    for note in check.notes:
        typer.echo(f"Note: {note}")
    for key, why in check.not_compared:
        typer.echo(f"Not compared: {key.method} on {key.grid} of {key.suite}: {why}.")
    typer.echo(
        "change: of the mean score; seeds: of candidate and baseline; finds: drops that would have been found with a "
        f"chance of {POWER:.0%}; needs: seeds that would find one of {limits.detect:g}."
    )
    typer.echo(
        f"{STATUS[check.status]} (differences below {limits.effect:g} do not matter; a drop of {limits.detect:g} "
        "must not be missed)"
    )


def _row(v: CellVerdict) -> tuple[str, ...]:
    tested = v.test in ("paired", "unpaired")
    in_baseline, in_candidate = v.seeds
    return (
        v.cells[0].method,
        summary.where(v),
        summary.WORDS[v.verdict],
        f"{v.difference:+.3f}" if tested else "",
        f"{v.p_value:.2g}" if tested else v.test,
        f"{in_candidate} : {in_baseline}",
        f"{v.detectable:.3f}" if tested and v.detectable < 2 else "",
        f"{v.enough_seeds or '?'} seeds" if v.verdict == "unclear" else "",
    )


def _calibrate(
    baseline: Cells, references: Mapping[str, Reference], seeds: int, repetitions: int, limits: Thresholds
) -> None:
    """Measure the gate on the cells of the baseline that have scores, and print what it finds."""
    scored = {}
    for key, runs in baseline.items():
        reference = references.get(runs[0].fingerprint)
        if reference is not None and reference.headroom is not None:
            scored[key] = clipped_by_seed(runs, reference)
    _show_calibration(calibrate_gate(scored, seeds, repetitions, limits, np.random.default_rng(0)), limits)


def _show_calibration(found: Calibration, limits: Thresholds) -> None:
    """Print the measured rates with their 95 % intervals."""
    from scipy.stats import binomtest  # takes 0.6 s to import, and a comparison of records does not need it

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
