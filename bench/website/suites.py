"""A page for each suite with published records: the parts of the report's page, and its data to download."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from bench.analysis.leaderboard import Leaderboard, build
from bench.analysis.rows import AggregateRow, from_frame
from bench.claims.report import section
from bench.records import tuning
from bench.records.cell_file import read_records
from bench.records.files import RecordError
from bench.records.references import References
from bench.records.run import RunRecord
from bench.records.trajectory import trajectory_finder
from bench.report import FORMATS
from bench.report.markdown import escaped
from bench.report.page import page_context, page_template
from bench.report.shown import show_interval, show_score
from bench.website.pages import Site, raw

DOWNLOADS = {"leaderboard.csv", "aggregate.csv", "leaderboard.json", "leaderboard.md", "leaderboard.tex"}
PARTS = [("Ranks", "suite_ranking"), ("Learning curves", "suite_curves"), ("Quality against cost", "suite_cost")]


class Published(NamedTuple):
    """A suite with published records: its page, its leaderboard, and what the templates read."""

    name: str
    page: str
    description: str
    board: Leaderboard
    context: Mapping[str, Any]

    @property
    def aggregate(self) -> list[AggregateRow]:
        """The methods over all tasks, the best first."""
        return from_frame(AggregateRow, self.board.aggregate)

    def part(self, template: str, **more: Any) -> str:
        """A part of a page as HTML."""
        return f'<div class="bench">{page_template(f"{template}.html.j2").render({**self.context, **more})}</div>'

    def styles(self) -> str:
        """The colours of the methods, as HTML."""
        return f"<style>{page_template('method_styles.css.j2').render(self.context)}</style>"


def published(
    folder: Path, descriptions: Mapping[str, str], links: Mapping[str, str], only: str = "*"
) -> list[Published]:
    """The suites in a folder of published results, each with the leaderboard of its records.

    `links` are addresses by the names of methods, as in `page_context`; `only` is the name of one suite. Raises
    RecordError for a record that cannot be read: what is published is whole.
    """
    found = []
    for records in sorted(folder.glob(f"{only}/records")):
        where = records.parent
        board = build(
            _whole(where),
            References.beside(where).by_fingerprint(),
            tuning.known_tunings(where),
            find=trajectory_finder(where, lambda text: None),
        )
        board = replace(board, diagnostics=section(where))
        name = where.name
        page = f"results/{name}.md"
        found.append(Published(name, page, descriptions.get(name, ""), board, page_context(board, links)))
    return found


def _whole(folder: Path) -> list[RunRecord]:
    records = list(read_records(folder))
    for record in records:
        if isinstance(record, RecordError):
            raise record
    return [record for record in records if isinstance(record, RunRecord)]


def add_suite(site: Site, suite: Published) -> None:
    """Add the page of a suite, and its data."""
    context = suite.context
    fewest, most = context["seeds"][0], context["seeds"][-1]
    head = [
        f"# {suite.name}\n\n{suite.description}\n",
        f"{len(suite.board.runs)} runs of {len(context['methods'])} methods on {len(context['tasks'])} tasks, "
        f"{fewest if fewest == most else f'{fewest} to {most}'} seeds each. "
        "Score 0 is the best constant control, 1 the best known control sequence.\n",
        _notes(suite.board.notes),
        raw(page_template("filters.html.j2").render(context) + suite.styles()),
    ]
    body = []
    for s in context["suites"]:
        parts = [("Every task", "suite_overview")] if s.overview else []
        parts += PARTS if s.aggregate else []
        body += [f"## {title}\n{raw(suite.part(name, s=s))}" for title, name in parts]
        body += [
            f"## {escaped(t.name)}, {t.num_steps} steps\n{raw(_of_task(suite.part('suite_task', s=s, t=t), t.name))}"
            for t in s.tasks
        ]
    body += [f"## Gradients and claims\n{raw(suite.part('gradients'))}"] if suite.board.diagnostics else []
    body += [f"## Download\n\n{_downloads(site, suite)}\n", f"## Provenance\n{raw(suite.part('provenance'))}"]
    site.pages[suite.page] = "\n".join([*head, *body])


def _of_task(html: str, task: str) -> str:
    return f'<div data-task="{Markup.escape(task)}">{html}</div>'


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{Markup.escape(note)}</li>" for note in notes)
    return raw(f"<details><summary>{len(notes)} note{'s' * (len(notes) > 1)}</summary><ul>{items}</ul></details>")


def _downloads(site: Site, suite: Published) -> str:
    """Write the data of a suite beside its page, and link to each file."""
    files = {
        name: render(suite.board).encode()
        for views in FORMATS.values()
        for name, render in views.items()
        if name in DOWNLOADS
    }
    if find_spec("pyarrow"):  # pandas writes Parquet with it; it is not among what the site needs
        for name, table in {"leaderboard": suite.board.rows, "aggregate": suite.board.aggregate}.items():
            buffer = BytesIO()
            table.to_parquet(buffer)
            files[f"{name}.parquet"] = buffer.getvalue()
    for name, content in files.items():
        site.files[f"_extra/results/data/{suite.name}/{name}"] = content
    lines = [
        f'<li><a href="data/{suite.name}/{name}">{name}</a> ({len(content) / 1024:.0f} kB)</li>'
        for name, content in files.items()
    ]
    return raw(f"<ul>{''.join(lines)}</ul>") + (
        f"\nThe records themselves are in `results/published/{suite.name}/records`, a line of JSON for each run "
        f"([fields](../records.md)). `python -m bench report results/published/{suite.name}` makes all views anew.\n"
    )


def suites_table(found: Sequence[Published]) -> str:
    """A line for each suite: what it is, how much was run, and which method stands first."""
    lines = [
        "| suite | what it compares | tasks | methods | seeds | first by IQM |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    for suite in found:
        rows, best = suite.board.rows, next((row for row in suite.aggregate if row.rank == 1), None)
        first = (
            f"{escaped(best.method)}, {show_score(best.score)} {show_interval(best.score_low, best.score_high)}"
            if best
            else ""
        )
        lines.append(
            f"| [{suite.name}]({suite.name}.md) | {suite.description} | {rows['task'].nunique()} | "
            f"{rows['method'].nunique()} | {rows['seeds'].min()} | {first} |"
        )
    return "\n".join(lines) + "\n"
