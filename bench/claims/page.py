"""The page of a claim, as markdown and as HTML: statement, design, effects, verdicts, and what would change them.

No JAX here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.claims.figure import figure
from bench.claims.report import (
    comparison_name,
    comparison_table,
    estimate_table,
    known_so_far,
    power_table,
    verdict_text,
)
from bench.claims.sequential import LOOKS
from bench.claims.verdicts import RULE, Comparison, Finding
from bench.records.files import write_atomically
from bench.report.markdown import escaped, table_markdown
from bench.report.page import page_style, page_template
from bench.report.text import Table

FIGURE = (
    "Bold: the effect over all tasks, on the scale and over the unit that decide. Intervals are 95 % intervals; the "
    "verdicts use those of the table below."
)


class Section(NamedTuple):
    """A part of the page: paragraphs, a list, a figure, a table and a command, where it has them."""

    title: str = ""
    paragraphs: Sequence[str] = ()
    points: Sequence[str] = ()
    table: Table | None = None
    drawing: str = ""
    command: str = ""


def write_page(f: Finding, folder: Path, html: bool) -> Path:
    """Write NAME.md with its figure NAME.svg and, on request, NAME.html; the path of the last one. Raises OSError."""
    sections = list(_sections(f))
    write_atomically(folder / f"{f.claim}.svg", figure(f))
    write_atomically(folder / f"{f.claim}.md", _markdown(f, sections))
    if not html:
        return folder / f"{f.claim}.md"
    write_atomically(folder / f"{f.claim}.html", _html(f, sections))
    return folder / f"{f.claim}.html"


def markdown_of(f: Finding) -> str:
    """The page as markdown, which shows the figure NAME.svg beside it."""
    return _markdown(f, list(_sections(f)))


def _sections(f: Finding) -> Iterator[Section]:
    yield Section("Statement", [f.statement, f"Made in: {f.where}."])
    yield Section("Verdict", [f"The claim {f.verdict}: {known_so_far(f)}."], f.remarks)
    yield Section(
        "Design",
        [
            f"{f.subject} is compared by {f.unit}. Run: {f.design}. Tasks, each with its finite-time Lyapunov exponent "
            f"times the horizon: {f.where_run}.",
            *([f"Runs: {', '.join(f.sources)}."] if f.sources else []),
            RULE,
        ],
    )
    if f.comparisons:
        yield Section("Effects", [FIGURE], drawing=figure(f))
        yield Section(table=comparison_table(f))
        yield Section(table=estimate_table(f))
        if any(c.power for c in f.comparisons):
            yield Section(table=power_table(f))
        yield Section("What would change the verdicts", points=[_change(f, c) for c in f.comparisons])
    more = f" --seeds {LOOKS[-1]}" if f.those("undecided") else ""
    yield Section("Command", command=f"python -m bench claims --only {f.claim}{more}")


def _change(f: Finding, c: Comparison) -> str:
    """What would change one verdict."""
    name = comparison_name(f, c)
    if c.low is None or c.high is None:
        return f"{name}: results of {LOOKS[0]} seeds of both on every task."
    if c.verdict == "equivalent":
        return f"{name}: a margin below {max(-c.low, c.high):.2g} in place of {c.margin:g}."
    if c.verdict != "undecided":
        nearest = min(abs(c.low), abs(c.high))
        return f"{name}: an effect that is nearer to 0 by {nearest:.2g} ({c.scale}) on all tasks, with the same spread."
    half = (c.high - c.low) / 2
    if c.over == "tasks":
        return (
            f"{name}: the interval reaches {half:.2g} ({c.scale}) to either side, with {len(c.tasks)} tasks. It "
            f"shrinks with more tasks; with more seeds than {c.seeds} only by the part of the spread that is not "
            "between tasks."
        )
    if c.seeds == LOOKS[-1]:
        return f"{name}: an effect that is {half:.2g} ({c.scale}) away from 0; all {LOOKS[-1]} seeds are used."
    last = half * (c.seeds / LOOKS[-1]) ** 0.5
    reach = f"{last:.2g} ({c.scale}) to either side"
    return f"{name}: up to {LOOKS[-1]} seeds, by which the interval would reach about {reach}."


def _markdown(f: Finding, sections: Sequence[Section]) -> str:
    title = f"# Claim {escaped(f.claim)}: {escaped(verdict_text(f))}\n"
    return title + "".join(_markdown_section(f, section) for section in sections)


def _markdown_section(f: Finding, s: Section) -> str:
    parts = [f"## {s.title}\n" if s.title else "", *(f"{escaped(text)}\n" for text in s.paragraphs)]
    parts.append("".join(f"- {escaped(point)}\n" for point in s.points))
    parts.append(f"![Effects of claim {escaped(f.claim)}]({f.claim}.svg)\n" if s.drawing else "")
    parts.append(table_markdown(s.table) if s.table else "")
    parts.append(f"```\n{s.command}\n```\n" if s.command else "")
    return "".join(f"\n{part}" for part in parts if part)


def _html(f: Finding, sections: Sequence[Section]) -> str:
    from markupsafe import Markup  # comes with Jinja, which is an extra

    shown = [s._replace(drawing=Markup(s.drawing)) for s in sections]  # figure() has escaped all names
    style = Markup(page_style())
    return page_template("claim.html.j2").render(claim=f.claim, verdict=verdict_text(f), sections=shown, style=style)
