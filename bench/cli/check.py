"""`bench check`: has anything become worse? The regression gate for CI."""

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from bench.analysis.scores import Cells, clipped_by_seed, group_by_cell
from bench.cli.terminal.lines import echo, echo_command, echo_error
from bench.cli.terminal.options import OnlyMethods, OnlyTasks
from bench.cli.terminal.tables import print_table
from bench.errors import UsageError
from bench.gate import junit as machine_readable
from bench.gate import regression, summary
from bench.gate.calibration import Calibration, calibrate_gate
from bench.gate.power import POWER
from bench.gate.regression import CellVerdict, Check, Thresholds
from bench.records.cell_file import read_records
from bench.records.files import write_atomically
from bench.records.reference import Reference
from bench.records.references import References
from bench.records.run import RunRecord
from bench.report.check_summary import append_to_page, check_markdown
from bench.report.text import Table, number_column, text_column
from bench.suite import load

COLUMNS = (
    text_column("method"),
    text_column("on"),
    text_column("verdict"),
    number_column("change", "mean score of the candidate less that of the baseline"),
    number_column("p", "p-value of the change, or how the cells were compared without one"),
    number_column("seeds", "of the candidate and of the baseline"),
    number_column("finds", "drops over all tasks that would have been found with a chance of POWER"),
    number_column("on one", "drops on one task alone that would have been found with a chance of POWER"),
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
    alpha: Annotated[float, typer.Option(help='Accepted chance of any false "worse" in a check.')] = 0.05,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the verdicts as JUnit XML.")] = None,
    github: Annotated[
        bool | None,
        typer.Option(
            "--github/--no-github",
            help="Annotate a GitHub workflow and write its step's page; by default where in one.",
        ),
    ] = None,
    repetitions: Annotated[
        int | None,
        typer.Option("--calibrate", metavar="N", min=1, help="Measure false alarms on N splits of the baseline."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print regressions and the last line only.")] = False,
) -> None:
    """Compare two sets of records: is a method same, better or worse, or are seeds too few to tell?

    Each method is judged over all its tasks, and on each task alone.

    Scores are those by the baseline's references. Exit status: 0 no regression; 1 a regression, or results that are
    missing or unreadable; 2 wrong usage; 3 something could not be told.
    """
    limits = Thresholds(effect, detect, alpha)
    records, unreadable = _read(baseline)
    old = regression.only(group_by_cell(records), tasks or (), methods or ())
    if not old:
        raise UsageError(f"--baseline {baseline} has no records of these tasks and methods.")
    references = References.beside(baseline).by_fingerprint()
    if repetitions is not None:
        _calibrate(old, references, seeds or 2, repetitions, limits)
        return
    found, unreadable_new = _candidate(candidate, suite, tasks or [], methods or [], seeds)
    new = regression.only(group_by_cell(found), tasks or (), methods or ())
    result = regression.check_exactly(old, new) if exact else regression.check(old, new, references, limits)
    result = replace(result, unreadable=(*unreadable, *unreadable_new))
    _show(result, limits, quiet)
    _report(result, junit, os.environ.get("GITHUB_ACTIONS") == "true" if github is None else github)
    page = os.environ.get("GITHUB_STEP_SUMMARY")
    if page and github is not False:
        _append(Path(page), check_markdown(result, STATUS[result.status], _verdicts(result)))
    sys.exit(result.status)


def _read(folder: Path) -> tuple[list[RunRecord], list[str]]:
    """The records under a folder, and what is wrong with unreadable ones. Raises UsageError if there are none."""
    if not folder.is_dir():
        raise UsageError(f"no folder {folder}. Give one that `bench run` wrote, e.g. results/smoke.")
    records, unreadable = [], []
    for found in read_records(folder):
        if isinstance(found, RunRecord):
            records.append(found)
        else:
            unreadable.append(str(found))
    if not records and not unreadable:
        raise UsageError(f"no run records under {folder}. Give a folder that `bench run` wrote, e.g. results/smoke.")
    return records, unreadable


def _candidate(
    folder: Path | None, suite: str | None, tasks: list[str], methods: list[str], seeds: int | None
) -> tuple[list[RunRecord], list[str]]:
    """The records to judge, read from a folder or of a suite that is run now, and what is wrong with unreadable ones.

    Finished cells of the suite are run once more. Raises UsageError.
    """
    if suite is None:
        if folder is None:
            raise UsageError("bench check needs --candidate DIR, or --run SUITE to produce the candidate.")
        return _read(folder)
    wanted = load(suite).cells(tasks, methods, seeds)
    from bench.run import run  # imports JAX, which a comparison of records does not need

    echo(f"running {len(wanted)} cells of {suite}", err=True)
    with tempfile.TemporaryDirectory() as temporary:
        return run(wanted, folder or Path(temporary), again=True), []


def _report(check: Check, junit: Path | None, github: bool) -> None:
    """Write the verdicts as JUnit XML, if a file is given, and as annotations of a workflow. Raises UsageError."""
    if junit:
        try:
            write_atomically(junit, machine_readable.junit(check))
        except OSError as error:
            raise UsageError(f"cannot write {junit}: {error.strerror}.") from error
    if github:
        for line in machine_readable.annotations(check):
            echo_command(line)


def _append(page: Path, text: str) -> None:
    """Add a text to the page of the step, which all its commands share, or warn: the verdict stands without it."""
    try:
        append_to_page(page, text)
    except OSError as error:
        echo_error(f"warning: cannot write GITHUB_STEP_SUMMARY {page}: {error.strerror}.")


def _verdicts(check: Check) -> Table:
    order = list(summary.WORDS)
    verdicts = sorted(check.verdicts, key=lambda v: order.index(v.verdict))
    return Table("Candidate against baseline", COLUMNS, [_row(v) for v in verdicts])


def _show(check: Check, limits: Thresholds, quiet: bool) -> None:
    """Print the verdicts, the gaps and what they rest on; if quiet, regressions and the outcome."""
    if not quiet:
        print_table(_verdicts(check))
    for v in check.verdicts:
        if v.verdict in ("worse", "differs"):
            echo(f"{summary.title(v)}: {summary.one_line(v)}\n{summary.by_task(v)}".rstrip())
    for name, why in summary.failures(check):
        echo(f"FAILS: {name}: {why}")
    if not quiet:
        for note in check.notes:
            echo(f"Note: {note}")
        for key, why in check.not_compared:
            echo(f"Not compared: {key.method} on {key.grid} of {key.suite}: {why}.")
        echo(
            "change: of the mean score; seeds: of candidate and baseline; finds, on one: drops over all tasks and on "
            f"one task alone that would have been found with a chance of {POWER:.0%}; needs: seeds that would find one "
            f"of {limits.detect:g} over all tasks."
        )
    echo(
        f"{STATUS[check.status]} (differences below {limits.effect:g} do not matter; a drop of {limits.detect:g} "
        "must not be missed)"
    )


def _row(v: CellVerdict) -> tuple[str, ...]:
    tested = v.test == "scores"
    in_baseline, in_candidate = v.seeds
    return (
        v.cells[0].method,
        summary.where(v),
        summary.WORDS[v.verdict],
        f"{v.difference:+.3f}" if tested else "",
        f"{v.p_value:.2g}" if tested else v.test,
        f"{in_candidate} : {in_baseline}",
        f"{v.detectable:.3f}" if tested and v.detectable < 2 else "",
        f"{v.detectable_on_one_task:.3f}" if tested and v.detectable_on_one_task < 2 else "",
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

    echo(
        f"{found.repetitions} checks of the baseline against itself, {found.seeds} seeds against the others, "
        f"alpha {limits.alpha:g}:"
    )
    echo(f"  false alarms: {share(found.false_alarms, found.repetitions)} of the checks")
    echo(f"  not enough seeds to tell: {share(found.unclear, found.verdicts)} of the verdicts")
    for what, counts in (("on all its tasks", found.found), ("on one task", found.found_on_one_task)):
        for drop, count in counts.items():
            echo(f"  a drop of {drop:g} of one method {what} is found in {share(count, found.repetitions)}")
