"""`bench claims`: what the paper claims, tested."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.claims import verdicts
from bench.claims.claim import Claim, load_claims
from bench.claims.experiments import collect_evidence
from bench.claims.report import lines, markdown, verdict_notes
from bench.claims.verdicts import Finding
from bench.cli.terminal import diagnostics
from bench.cli.terminal.leaderboards import installed_formats, write_leaderboards
from bench.cli.terminal.options import PartsAtOnce, Quiet
from bench.errors import UsageError, did_you_mean
from bench.records.files import write_atomically


def command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Few seeds and tasks: under 15 minutes on two cores, indicative only.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A claim by its name, e.g. b1; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Output folder; results/claims, or results/claims-quick with --quick.")
    ] = None,
    workers: PartsAtOnce = None,
    quiet: Quiet = False,
) -> None:
    """Test every claim of the paper by its experiment, and say by a rule fixed beforehand whether it holds.

    What was computed before is kept in the folder and not computed again. Exit status: 0 whatever the verdicts are,
    1 if a part failed, 130 interrupted.
    """
    claims, experiments = load_claims(quick)
    chosen = _choose(claims, only or [])
    wanted = {claim.experiment: experiments[claim.experiment] for claim in chosen}
    _announce(chosen)
    folder = out or Path("results") / ("claims-quick" if quick else "claims")
    with diagnostics.open_runner(folder, workers, quiet) as runner:
        evidence = collect_evidence(runner, wanted)
    if runner.interrupted:
        diagnostics.exit_unless_complete(runner)
    findings = [verdicts.judge(claim, wanted[claim.experiment], evidence, quick) for claim in chosen]
    write_atomically(folder / "claims.json", json.dumps(verdicts.findings_to_json(findings), indent=1) + "\n")
    write_atomically(folder / "claims.md", markdown(findings))
    diagnostics.write_measurements(runner)
    diagnostics.draw_landscapes(runner)
    if evidence.records and not quiet:
        unwritten = write_leaderboards(folder, installed_formats())
        if unwritten:
            typer.echo(f"bench: {unwritten}", err=True)
    _show(findings)
    typer.echo(folder / "claims.md")
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
        typer.echo(f"{claim.name}: {claim.statement}\n   {claim.subject} against {others}: {claim.effect}", err=True)
    typer.echo(verdicts.RULE, err=True)


def _show(findings: Sequence[Finding]) -> None:
    for finding in findings:
        typer.echo("\n".join(lines(finding)) + "\n")
    for note in verdict_notes(findings):
        typer.echo(note)
