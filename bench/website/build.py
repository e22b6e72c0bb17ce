"""All pages of the site, in the order of its navigation."""

import re
from collections.abc import Iterator
from pathlib import Path

from bench import registry, suite
from bench.records.run import run_schema
from bench.report.page import FOLDER, PARTS, page_script
from bench.website import claims, command_line, methods, python_api, suite_files, suites, tasks
from bench.website.pages import Entry, Site, toctree

ROOT = Path(__file__).parents[2]
PUBLISHED = "results/published"
DOCS = "docs/index.md"  # its headings and links are the navigation of the documentation
MOVED = {
    "README.md": "index.md",
    "results/README.md": "results/index.md",
    "docs/tasks.md": "tasks/index.md",
    "docs/methods.md": "methods/index.md",
    "bench/claims/claims.toml": "claims/index.md",
    "bench/suites": "suites.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changes.md",
    DOCS: "docs.md",
}
GENERATED = {
    "docs/cli.md": command_line.page,
    "docs/api.md": python_api.page,
    "docs/suites.md": suite_files.page,
}


def site_of(root: Path = ROOT) -> Site:
    """Make every page. Raises LookupError for a link that leads nowhere."""
    site = with_documents(root)
    _add_generated(site)
    _add_results(site)
    _add_navigation(site)
    _add_look(site)
    return site


def with_documents(root: Path = ROOT) -> Site:
    """The pages that are markdown in the repository, and where the others will be."""
    found = (root / PUBLISHED).glob("*/records")
    homes = {f"docs/{path.name}": path.name for path in (root / "docs").glob("*.md")} | MOVED
    homes |= {f"{PUBLISHED}/{records.parent.name}": f"results/{records.parent.name}.md" for records in found}
    homes |= {PUBLISHED: "results/index.md", f"{PUBLISHED}/thumbnails": "tasks/index.md"}
    site = Site(root, homes, {name: tasks.page_of(name) for name in registry.TASKS})
    for path in homes:
        if path.endswith(".md"):
            site.add_file(path)
    return site


def _add_generated(site: Site) -> None:
    """The reference pages; docs/ has a line on each for readers of the repository."""
    for path, page in GENERATED.items():
        site.add(site.homes[path], page(), path)
    site.pages["records.md"] += f"\n## Its JSON Schema\n\n```json\n{run_schema()}\n```\n"


def _add_results(site: Site) -> None:
    """The pages of suites, tasks, methods and claims."""
    descriptions = {name: suite.load(name).description + "." for name in suite.names()}
    addresses = {name: f"../methods/{name}.html" for name in registry.METHODS}
    shown = suites.published(site.root / PUBLISHED, descriptions, {**addresses, "how": "../judging.html"})
    for each in shown:
        suites.add_suite(site, each)
    for name in registry.TASKS:
        tasks.add_task(site, name, shown)
    for name in registry.METHODS:
        methods.add_method(site, name, shown)
    names = claims.add_claims(site, claims.published_findings(site.root / PUBLISHED))
    site.pages["results/index.md"] = _with_table(site.pages["results/index.md"], suites.suites_table(shown))
    lists = {
        "results/index.md": [each.page for each in shown],
        "tasks/index.md": [tasks.page_of(name) for name in registry.TASKS],
        "methods/index.md": [methods.page_of(name) for name in registry.METHODS],
        "claims/index.md": names,
    }
    links = [f"[`{name}`]({name}.md)" for name in registry.METHODS]
    site.pages["methods/index.md"] += f"\n## A page for each\n\n{', '.join(links)}\n"
    for page, below in lists.items():
        site.pages[page] += toctree([Entry("", below)], page)


def _with_table(text: str, table: str) -> str:
    """A page with a table below its first paragraph."""
    title, _, rest = text.partition("\n\n")
    return f"{title}\n\n{table}\n{rest}"


def _add_navigation(site: Site) -> None:
    results = Entry("Results", ["results/index.md", "tasks/index.md", "methods/index.md", "claims/index.md"])
    project = Entry("Project", ["docs.md", "project/contributing.md", "project/changes.md"])
    shown = {*results.pages, *project.pages}
    entries = [Entry(e.caption, [page for page in e.pages if page not in shown]) for e in documentation(site)]
    site.pages["index.md"] += toctree([results, *(e for e in entries if e.pages), project], "index.md")


def documentation(site: Site) -> Iterator[Entry]:
    """The headings of docs/index.md, each with the pages that it links to."""
    text = (site.root / DOCS).read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        linked = re.findall(r"^\| \[[^\]]+\]\((\w[\w-]*\.md)\)", part, re.MULTILINE)
        if linked:
            yield Entry(part.partition("\n")[0], [site.homes[f"docs/{name}"] for name in linked])


def _add_look(site: Site) -> None:
    """The generator's configuration, the style and the scripts."""
    here = Path(__file__).parent / "theme"
    site.files["conf.py"] = (here / "conf.py").read_bytes()
    site.files["_static/site.css"] = (FOLDER / PARTS).read_bytes() + (here / "site.css").read_bytes()
    site.files["_static/site.js"] = page_script().encode()
