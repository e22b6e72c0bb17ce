"""A page for each claim: with its finding where one is published, else with what would test it."""

from collections.abc import Mapping
from pathlib import Path

from bench.claims.claim import Claim, Experiment, load_claims
from bench.claims.effects import EFFECTS
from bench.claims.figure import figure
from bench.claims.page import markdown_of
from bench.claims.report import read_findings, verdict_text
from bench.claims.verdicts import RULE, Finding
from bench.report.markdown import escaped
from bench.website.pages import Site, raw

NOT_RUN = "not published yet"


def published_findings(folder: Path) -> Mapping[str, Finding]:
    """The findings on claims in a folder of published results, by claim."""
    files = sorted(folder.glob("**/claims.json"))
    return {finding.claim: finding for file in files for finding in read_findings(file, lambda text: None)}


def page_of(name: str) -> str:
    """The page of a claim."""
    return f"claims/{name}.md"


def add_claims(site: Site, findings: Mapping[str, Finding]) -> list[str]:
    """Add the pages of all claims and their list; return the pages of the claims."""
    claims, experiments = load_claims()
    for claim in claims:
        finding = findings.get(claim.name)
        text = _with_finding(finding) if finding else _untested(claim, experiments[claim.experiment])
        site.add(page_of(claim.name), text, "bench/page")
    rows = [
        f"| [{claim.name}]({claim.name}.md) | {escaped(claim.statement)} | "
        f"{verdict_text(findings[claim.name]) if claim.name in findings else NOT_RUN} |"
        for claim in claims
    ]
    head = "# Claims\n\nWhat the paper claims about policy gradients, each tested by an experiment.\n\n"
    table = "| claim | statement | verdict |\n| --- | --- | --- |\n" + "\n".join(rows)
    site.pages["claims/index.md"] = f"{head}{table}\n\n{RULE}\n"
    return [page_of(claim.name) for claim in claims]


def _with_finding(finding: Finding) -> str:
    """The page that `bench claims` writes, with its figure inside."""
    name = f"![Effects of claim {escaped(finding.claim)}]({finding.claim}.svg)"
    return markdown_of(finding).replace(name, raw(f'<div class="bench wide">{figure(finding)}</div>'))


def _untested(claim: Claim, experiment: Experiment) -> str:
    others = ", ".join(f"`{other}`" for other in claim.others if other != claim.subject)
    tasks = f" on {', '.join(experiment.tasks)}" if experiment.tasks else ""
    return (
        f"# Claim {claim.name}\n\nIts verdict is {NOT_RUN}.\n\n## Statement\n\n{escaped(claim.statement)}\n\n"
        f"Made in: {claim.where}.\n\n"
        f"## Design\n\n`{claim.subject}`{f' is compared with {others}' if others else ''} by "
        f"{EFFECTS[claim.effect].unit}. Run: {experiment.design}{tasks}.\n\n{RULE}\n\n"
        f"## Command\n\n```\npython -m bench claims --only {claim.name}\n```\n"
    )
