"""`bench claims`: what the paper claims, tested."""

import json
from pathlib import Path
from typing import Annotated

import typer


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
    workers: Annotated[
        int | None, typer.Option(min=0, help="Parts at once, each in a process; by default as many as there are cores.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Test every claim of the paper by its experiment, and say by a rule fixed beforehand whether it holds.

    What was computed before is kept in the folder and not computed again. Exit status: 0 whatever the verdicts are,
    1 if a part failed, 130 interrupted.
    """
    from bench.claims import claim, verdicts
    from bench.claims.report import how, lines, markdown
    from bench.cli.report import everything, write
    from bench.cli.terminal import diagnostics
    from bench.errors import UsageError, did_you_mean
    from bench.records.files import write_atomically

    known, experiments = claim.load(quick)
    for name in only or []:
        if name not in {claim.name for claim in known}:
            raise UsageError(did_you_mean("claim", name, [claim.name for claim in known]))
    chosen = [claim for claim in known if not only or claim.name in only]
    wanted = {claim.experiment: experiments[claim.experiment] for claim in chosen}
    for claim in chosen:
        names = ", ".join(claim.others)
        typer.echo(f"{claim.name}: {claim.statement}\n   {claim.subject} against {names}: {claim.effect}", err=True)
    typer.echo(verdicts.RULE, err=True)
    folder = out or Path("results") / ("claims-quick" if quick else "claims")
    with diagnostics.opened(folder, workers, quiet) as work:
        from bench.claims import experiments

        evidence = experiments.collect_evidence(work, wanted)
    if work.interrupted:
        diagnostics.finish(work)
    findings = [verdicts.judge(claim, wanted[claim.experiment], evidence, quick) for claim in chosen]
    write_atomically(folder / "claims.json", json.dumps(verdicts.findings_to_json(findings), indent=1) + "\n")
    write_atomically(folder / "claims.md", markdown(findings))
    diagnostics.write_measurements(work)
    diagnostics.draw_landscapes(work)
    if evidence.records and not quiet:
        write(folder, everything())
    for finding in findings:
        typer.echo("\n".join(lines(finding)) + "\n")
    for note in how(findings):
        typer.echo(note)
    typer.echo(folder / "claims.md")
    diagnostics.finish(work)
