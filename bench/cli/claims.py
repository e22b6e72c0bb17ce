"""`bench claims`: what the paper claims, tested."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from bench.claims.claim import Claim, load_claims
from bench.claims.experiments import Study
from bench.claims.known import PUBLISHED
from bench.claims.page import write_page
from bench.claims.plan import plan
from bench.claims.power import with_power
from bench.claims.report import SCHEMA, comparison_table, estimate_table, heading, markdown, power_table
from bench.claims.sequential import LOOKS
from bench.claims.verdicts import RULE, Finding, findings_to_json
from bench.cli.terminal import diagnostics
from bench.cli.terminal.lines import echo
from bench.cli.terminal.options import PartsAtOnce, Quiet
from bench.cli.terminal.tables import print_table
from bench.errors import UsageError, did_you_mean
from bench.records.files import write_atomically
from bench.sweep.forecast import duration_in_words


def command(
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A claim by its name, e.g. b1; may be repeated.")
    ] = None,
    records: Annotated[
        list[Path] | None,
        typer.Option(help="A further folder with run records of the experiments' own settings; may be repeated."),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            help=f"Seeds at most: {', '.join(map(str, LOOKS[:-1]))} or {LOOKS[-1]}. Beyond {LOOKS[0]}, only undecided "
            "comparisons get more."
        ),
    ] = LOOKS[0],
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("results/claims"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is known, what would be run and how long; run nothing.")
    ] = False,
    workers: PartsAtOnce = None,
    quiet: Quiet = False,
) -> None:
    """Test every claim of the paper by its experiment, and say by a rule fixed beforehand whether it holds.

    Published runs, and those of --records, serve where they are the experiment's own; what is missing is computed, and
    kept in the folder. Exit status: 0 whatever the verdicts are, 1 if a part failed, 130 interrupted.
    """
    claims, experiments = load_claims()
    chosen = _choose(claims, only or [])
    if seeds not in LOOKS:
        raise UsageError(f"--seeds takes {', '.join(map(str, LOOKS))}, got {seeds}: looks are fixed beforehand.")
    for folder in records or []:
        if not folder.is_dir():
            raise UsageError(f"--records {folder}: no such folder. Give one that `bench run` wrote.")
    study = Study(chosen, experiments, out, [*(records or []), *([PUBLISHED] if PUBLISHED.is_dir() else [])])
    if dry_run:
        _print_plan(study, seeds)
        return
    _announce(chosen)
    with diagnostics.open_runner(out, workers, quiet) as runner:
        findings = [with_power(finding) for finding in study.run(runner, seeds)]
    if runner.interrupted:
        diagnostics.exit_unless_complete(runner)
    diagnostics.write_measurements(runner)
    diagnostics.draw_landscapes(runner)
    _show(findings)
    _write(findings, out)
    diagnostics.exit_unless_complete(runner)


def _choose(claims: Sequence[Claim], names: Sequence[str]) -> list[Claim]:
    """The claims of these names, or all claims. Raises UsageError."""
    known = [claim.name for claim in claims]
    for name in names:
        if name not in known:
            raise UsageError(did_you_mean("claim", name, known))
    return [claim for claim in claims if not names or claim.name in names]


def _announce(claims: Sequence[Claim]) -> None:
    """Say what is tested and by which rule, before anything is computed."""
    for claim in claims:
        others = ", ".join(claim.others)
        echo(f"{claim.name}: {claim.statement}\n   {claim.subject} against {others}: {claim.effect}", err=True)
    echo(RULE, err=True)


def _print_plan(study: Study, seeds: int) -> None:
    """Print, for each experiment and look, what is known and what would be run, and how long that takes on one core."""
    total: list[float | None] = []
    for line in plan(study, seeds):
        echo(line.text)
        total.append(line.seconds)
    known = [s for s in total if s is not None]
    unknown = "" if len(known) == len(total) else ", without what has no time yet"
    echo(f"In all about {duration_in_words(sum(known))} on one core{unknown}.")


def _show(findings: Sequence[Finding]) -> None:
    for finding in findings:
        echo("\n".join(heading(finding)))
        if finding.comparisons:
            print_table(comparison_table(finding))
            print_table(estimate_table(finding))
            print_table(power_table(finding))
    echo(RULE)


def _write(findings: Sequence[Finding], folder: Path) -> None:
    """Write claims.json, claims.md and a page for each claim, and print where they are."""
    data = {"schema": SCHEMA, "findings": findings_to_json(findings)}
    write_atomically(folder / "claims.json", json.dumps(data, indent=1) + "\n")
    write_atomically(folder / "claims.md", markdown(findings))
    html = find_spec("jinja2") is not None
    pages = [write_page(finding, folder / "claims", html) for finding in findings]
    for path in chain([folder / "claims.md"], pages):
        echo(path)
