"""Findings in words: for the terminal, as the table of all claims, and for the page of a folder. No JAX here."""

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec

from bench.claims.power import WITHIN
from bench.claims.sequential import Answer
from bench.claims.verdicts import FEW_TASKS, RULE, Comparison, Finding
from bench.gradients.records import read_all_measurements
from bench.gradients.summary import summaries
from bench.records.decode import DecodeError, check
from bench.records.files import RecordError, read_file
from bench.report.markdown import table_markdown
from bench.report.text import Table, number_column, text_column

SCHEMA = 2  # of claims.json
COMPARISONS = (
    text_column("against", "the other method"),
    text_column("verdict"),
    text_column("decided by", "scale and unit of replication"),
    number_column("effect", "above 0 for the claim"),
    text_column("interval", "with its confidence, as the verdict uses it"),
    number_column("seeds", "of each method"),
    number_column("ahead", "tasks on which the subject is ahead"),
)
ESTIMATES = (
    text_column("against"),
    text_column("scale"),
    number_column("over seeds", "these tasks, other seeds: effect with its 95 % interval"),
    number_column("over tasks", "other tasks of this kind: effect with its 95 % interval"),
)
WORDS: dict[Answer, str] = {
    "better": "better than",
    "worse": "worse than",
    "equivalent": "equivalent to",
    "undecided": "undecided against",
}
POWER = (
    text_column("against"),
    text_column("margin", "of the scale that decides"),
    number_column("margin, seeds", "chance to find a true effect as large as the margin, over seeds"),
    number_column("half, seeds", "chance to find half of the margin, over seeds"),
    number_column("margin, tasks", "chance to find the margin, over tasks"),
    number_column("half, tasks", "chance to find half of the margin, over tasks"),
)
CLAIMS = (text_column("claim"), text_column("statement"), text_column("verdict"), text_column("known so far"))


def verdict_text(f: Finding) -> str:
    """The verdict, and what limits it."""
    compared = {task.task for c in f.comparisons for task in c.tasks}
    few = f" ({len(compared)} task{'s' * (len(compared) > 1)} only)" if 0 < len(compared) <= FEW_TASKS else ""
    return f.verdict + few


def known_so_far(f: Finding) -> str:
    """Against whom a claim holds, fails or is open."""
    parts = [f"{words} {', '.join(f.those(answer))}" for answer, words in WORDS.items() if f.those(answer)]
    return "; ".join(parts) or "no results"


def comparison_table(f: Finding) -> Table:
    """A line for each comparison: its verdict and what it rests on."""
    return Table("Verdicts", COMPARISONS, [_comparison_row(f, c) for c in f.comparisons])


def estimate_table(f: Finding) -> Table:
    """All estimates: on each scale, over seeds and over tasks as a random sample."""
    rows = []
    for c in f.comparisons:
        for scale in dict.fromkeys(e.scale for e in c.estimates):
            by_unit = {e.over: show_effect(e.effect, e.low, e.high) for e in c.estimates if e.scale == scale}
            rows.append((comparison_name(f, c), scale, by_unit["seeds"], by_unit["tasks"]))
    return Table("Both scales and both units of replication, with 95 % intervals", ESTIMATES, rows)


def power_table(f: Finding) -> Table:
    """The chances of each comparison to find an effect as large as its margin, and half as large."""
    rows = []
    for c in f.comparisons:
        sizes = [f"{size:g} over {over}" for over in ("seeds", "tasks") for size in (c.margin, c.margin / 2)]
        chances = [f"{c.power[size]:.2f}" if size in c.power else "" for size in sizes]
        rows.append((comparison_name(f, c), f"{c.margin:g} {c.scale}", *chances))
    return Table(f"Power: the chance to find an effect within {WITHIN} seeds, by simulation", POWER, rows)


def claims_table(findings: Sequence[Finding]) -> Table:
    """A line for each claim."""
    rows = [(f.claim, f.statement, verdict_text(f), known_so_far(f)) for f in findings]
    return Table("Claims", CLAIMS, rows)


def _comparison_row(f: Finding, c: Comparison) -> tuple[str, ...]:
    known = c.low is not None and c.high is not None
    return (
        comparison_name(f, c),
        c.verdict + "*" * c.corrected,
        f"{c.scale} over {c.over}",
        f"{c.decisive.effect:+.2f}",
        f"[{c.low:+.2f}, {c.high:+.2f}] at {c.level:.1%}" if known else "",
        str(c.seeds),
        f"{c.wins} of {len(c.tasks)} tasks",
    )


def comparison_name(f: Finding, c: Comparison) -> str:
    """The other method, or "itself" where the effect is a property of the subject alone."""
    return "itself" if c.other == f.subject else c.other


def show_effect(effect: float, low: float | None, high: float | None) -> str:
    """Show an effect with its interval, where that is known."""
    return f"{effect:+.2f}" + ("" if low is None or high is None else f" [{low:+.2f}, {high:+.2f}]")


def heading(f: Finding) -> list[str]:
    """What a claim says, what is compared, and where it was run."""
    return [
        f"{f.claim}: {verdict_text(f).upper()}. {f.statement}",
        f"    {known_so_far(f)}",
        f"    {f.subject}: {f.unit}. Run: {f.design}; on {f.where_run or 'no task'}.",
        *(f"    {remark}." for remark in (*f.sources, *f.remarks)),
    ]


def markdown(findings: Sequence[Finding]) -> str:
    """Write the verdicts on all claims as a document, which links to the page of each."""
    pages = "".join(f"- [{f.claim}](claims/{f.claim}.md): {f.where}; {f.design}.\n" for f in findings)
    return f"# Claims about policy gradients\n\n{RULE}\n\n{table_markdown(claims_table(findings))}\n{pages}"


class _File(TypedDict):
    schema: Literal[2]
    findings: list[Finding]


def read_findings(file: Path, say: Callable[[str], None]) -> list[Finding]:
    """The findings in a file; none if there is no file or, as `say` is told, none can be read."""
    try:
        return check(msgspec.json.decode, read_file(file), type=_File)["findings"]
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
    findings = read_findings(folder / "claims.json", say)
    figures = [*folder.glob("gradients*.png"), *folder.glob("landscape-*.png")]
    if not (measured or findings or figures):
        return {}
    return {
        "notes": [RULE] if findings else [],
        "tables": [*([claims_table(findings)] if findings else []), *summaries(measured)],
        "figures": {path.stem: base64.b64encode(path.read_bytes()).decode() for path in sorted(figures)},
    }
