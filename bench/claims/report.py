"""Verdicts on claims in words: for the terminal, as markdown, and for the page of a folder. No JAX here."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.claims.verdicts import RULE, Comparison, Finding
from bench.gradients.records import read_all_measurements
from bench.gradients.summary import summaries
from bench.records.decode import DecodeError, check
from bench.records.files import RecordError, read_file


def lines(f: Finding) -> list[str]:
    """Show a claim in the terminal: the verdict, a line for each comparison, where it was run, and remarks."""
    width = max((len(c.other) for c in f.comparisons), default=0)
    over = ["" if c.other == f.subject else f"over {c.other:<{width}}  " for c in f.comparisons]
    return [
        f"{f.claim}: {f.verdict.upper()}{' (indicative)' if f.quick else ''}  {f.statement}",
        f"    {f.subject}, {f.unit}:",
        *(f"      {name}{effect_with_interval(c)}" for name, c in zip(over, f.comparisons, strict=True)),
        f"    on {f.where_run}, {f.seeds} seeds",
        *(f"    {remark}" for remark in all_remarks(f)),
    ]


def all_remarks(f: Finding) -> list[str]:
    """List the remarks on a claim, and mark runs whose code nobody knows."""
    mark = f"{f.unknown_code} runs are of unknown code: their records are older than fingerprints of methods"
    return [*f.remarks, *[mark] * (f.unknown_code > 0)]


def comparison_name(f: Finding, c: Comparison) -> str:
    """Name a comparison: one method over another, or one method where the effect is a property of its own."""
    return f.subject if c.other == f.subject else f"{f.subject} over {c.other}"


def effect_with_interval(c: Comparison) -> str:
    """Show an effect, with its 95 % interval where that is known."""
    return f"{c.effect:+.2f}" + (f" [{c.low:+.2f}, {c.high:+.2f}]" if c.low is not None and c.high is not None else "")


def verdict_notes(findings: Sequence[Finding]) -> list[str]:
    """Say how verdicts are made, and which limits they have here."""
    notes = [RULE]
    if any(f.quick for f in findings):
        few = ", ".join(sorted({str(f.seeds) for f in findings}))
        notes.append(f"Quick: {few} seeds and fewer tasks. The verdicts are indicative only.")
    return notes


def markdown(findings: Sequence[Finding]) -> str:
    """Write the findings as a document."""
    document = ["# Claims about policy gradients", "", *(f"{note}\n" for note in verdict_notes(findings))]
    document += [
        "| | claim | verdict | effect, above 0 for the claim | 95 % interval |",
        "| --- | --- | --- | --- | --- |",
    ]
    for f in findings:
        effects = "<br>".join(f"{comparison_name(f, c)}: {c.effect:+.2f}" for c in f.comparisons)
        ends = "<br>".join(effect_with_interval(c).partition(" ")[2] or "-" for c in f.comparisons)
        verdict = f"**{f.verdict}**" + (", indicative" if f.quick else "")
        document.append(f"| {f.claim} | {f.statement} | {verdict} | {f.unit}:<br>{effects} | <br>{ends} |")
    document.append("")
    for f in findings:
        remarks = "".join(f"; {remark}" for remark in all_remarks(f))
        document.append(f"- {f.claim}: {f.where}; run on {f.where_run}, {f.seeds} seeds{remarks}.")
    document += ["", "Behind a task stands its finite-time Lyapunov exponent times the horizon.", ""]
    return "\n".join(document)


def _read_findings(file: Path, say: Callable[[str], None]) -> list[Finding]:
    """The findings in a file; none if there is no file or, as `say` is told, none can be read."""
    try:
        return check(msgspec.json.decode, read_file(file), type=list[Finding])
    except FileNotFoundError:
        return []
    except RecordError as error:
        say(str(error))
    except DecodeError as error:
        say(f"{file}: no findings ({error}). `bench claims` writes them.")
    return []


def section(folder: Path, say: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Collect what a page shows of a folder's gradients, landscapes and claims; empty if there are none.

    `say` is told of each file that cannot be read, and why.
    """
    measured = list(read_all_measurements(folder, say))
    findings = _read_findings(folder / "claims.json", say)
    figures = [*folder.glob("gradients*.png"), *folder.glob("landscape-*.png")]
    if not (measured or findings or figures):
        return {}
    return {
        "findings": findings,
        "notes": verdict_notes(findings),
        "all_remarks": all_remarks,
        "comparison_name": comparison_name,
        "effect_with_interval": effect_with_interval,
        "tables": summaries(measured),
        "figures": {path.stem: base64.b64encode(path.read_bytes()).decode() for path in sorted(figures)},
    }
