"""Measurements and claims as tables for people. No JAX here."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.claims.verdicts import RULE, Comparison, Finding
from bench.errors import UsageError
from bench.gradients.records import read_all_measurements
from bench.gradients.summary import summaries
from bench.records.files import RecordError


def lines(f: Finding) -> list[str]:
    """A claim for the terminal: the verdict, then a line for each comparison, then where it was run."""
    width = max((len(c.other) for c in f.comparisons), default=0)
    return [
        f"{f.claim}: {f.verdict.upper()}{' (indicative)' if f.quick else ''}  {f.statement}",
        f"    {f.subject}, {f.unit}:",
        *(f"      {'' if c.other == f.subject else f'over {c.other:<{width}}  '}{effect(c)}" for c in f.comparisons),
        f"    on {f.where_run}, {f.seeds} seeds",
        *(f"    {remark}" for remark in f.remarks),
    ]


def compared(f: Finding, c: Comparison) -> str:
    """What an effect is of: a method over another, or a property of its own."""
    return f.subject if c.other == f.subject else f"{f.subject} over {c.other}"


def effect(c: Comparison) -> str:
    """An effect with its interval."""
    return f"{c.effect:+.2f}" + (f" [{c.low:+.2f}, {c.high:+.2f}]" if c.low is not None and c.high is not None else "")


def how(findings: Sequence[Finding]) -> list[str]:
    """What a reader must know of the verdicts."""
    notes = [RULE]
    if any(f.quick for f in findings):
        few = ", ".join(sorted({str(f.seeds) for f in findings}))
        notes.append(f"Quick: {few} seeds and fewer tasks. The verdicts are indicative only.")
    return notes


def markdown(findings: Sequence[Finding]) -> str:
    """The claims as a document."""
    lines = ["# Claims about policy gradients", "", *(f"{note}\n" for note in how(findings))]
    lines += [
        "| | claim | verdict | effect, above 0 for the claim | 95 % interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    for f in findings:
        effects = "<br>".join(f"{compared(f, c)}: {c.effect:+.2f}" for c in f.comparisons)
        ends = "<br>".join(effect(c).partition(" ")[2] or "-" for c in f.comparisons)
        verdict = f"**{f.verdict}**" + (", indicative" if f.quick else "")
        lines.append(f"| {f.claim} | {f.statement} | {verdict} | {f.unit}:<br>{effects} | <br>{ends} |")
    lines.append("")
    for f in findings:
        remarks = "".join(f"; {remark}" for remark in f.remarks)
        lines.append(f"- {f.claim}: {f.where}; run on {f.where_run}, {f.seeds} seeds{remarks}.")
    lines += ["", "Behind a task stands its finite-time Lyapunov exponent times the horizon.", ""]
    return "\n".join(lines)


def finding(entry: Mapping[str, Any]) -> Finding:
    """From a value of JSON."""
    return Finding(**{**entry, "comparisons": [Comparison(**c) for c in entry["comparisons"]]})


def section(folder: Path) -> dict[str, Any]:
    """What a page shows of a folder's gradients, landscapes and claims; empty if there are none. Raises UsageError."""
    try:
        measured, file = list(read_all_measurements(folder)), folder / "claims.json"
    except RecordError as error:
        raise UsageError(str(error)) from error
    findings = [finding(entry) for entry in json.loads(file.read_text(encoding="utf-8"))] if file.exists() else []
    figures = [*folder.glob("gradients*.png"), *folder.glob("landscape-*.png")]
    if not (measured or findings or figures):
        return {}
    return {
        "findings": findings,
        "how": how(findings),
        "compared": compared,
        "effect": effect,
        "tables": summaries(measured),
        "figures": {path.stem: base64.b64encode(path.read_bytes()).decode() for path in sorted(figures)},
    }
