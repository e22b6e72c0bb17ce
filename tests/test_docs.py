"""The documentation: links resolve, shown commands exist, shown programs run, and tables are those of the code."""

import dataclasses
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

import bench
from baselines import METHODS
from bench import registry, suite
from bench.analysis.rows import AggregateRow, TaskRow
from bench.cli import app
from bench.contract.checks import run_checks
from bench.records.run import RunRecord

ROOT = Path(__file__).parent.parent
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(
        [
            *ROOT.glob("*.md"),
            *(ROOT / "docs").rglob("*.md"),
            *(ROOT / ".github").rglob("*.md"),
            ROOT / "results" / "README.md",
        ]
    )
}
JUDGING = PAGES["docs/judging.md"]
COMMANDS = typer.main.get_command(app)
CONTEXT = COMMANDS.make_context("bench", [], resilient_parsing=True)


def blocks(text, language=""):
    """The contents of the fenced blocks in a language; plain ones by default."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [inside for found, inside in fenced if found == language]


def without_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text):
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_resolve(name):
    text = without_blocks(PAGES[name])
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in (t for t in targets if "://" not in t):
        path, _, anchor = target.partition("#")
        found = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert found.exists(), f"{target} leads nowhere"
        assert found.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(found.read_text(encoding="utf-8")), f"{target}: no such heading"


def test_every_page_is_linked_from_the_index_and_the_readme():
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    for start in ("docs/index.md", "README.md"):
        linked = {Path(target).name for target in re.findall(r"\]\(([^)#\s]+\.md)", PAGES[start])}
        assert pages <= linked, start


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= 150


# (page, arguments) of each line of a fenced block that runs the command line.
SHOWN = [
    (name, shlex.split(line.partition("-m bench ")[2], comments=True))
    for name, text in PAGES.items()
    for line in "".join(blocks(text)).splitlines()
    if "-m bench " in line
]


def test_there_are_many_shown_commands():
    assert len(SHOWN) > 40


@pytest.mark.parametrize(("page", "arguments"), SHOWN)
def test_a_shown_command_is_one_that_the_command_line_takes(page, arguments):
    """Its name, its options and the kinds of their values; nothing runs."""
    name, *rest = arguments
    command = COMMANDS.get_command(CONTEXT, name)
    assert command, f"{page}: no command {name}"
    command.make_context(name, rest)  # raises for what it does not take


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_the_text_exist(page):
    """Such as `bench run` or `python -m bench check --exact`: names and options, as they may be incomplete."""
    for span in re.findall(r"`((?:python -m )?bench [^`]+)`", without_blocks(PAGES[page])):
        name, *rest = shlex.split(span.removeprefix("python -m ").removeprefix("bench "))
        command = COMMANDS.get_command(CONTEXT, name)
        assert command, f"{page}: no command in `{span}`"
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in rest if word.startswith("--")} <= known, f"{page}: `{span}`"


@pytest.mark.parametrize("page", PAGES)
def test_shown_programs_compile_and_use_names_that_exist(page):
    for block in blocks(PAGES[page], "python"):
        compile(block, page, "exec")
        assert {*re.findall(r"\bbench\.([A-Za-z]\w*)\(", block)} <= {*bench.PUBLIC}


def shown_module(page, tmp_path, monkeypatch):
    """The first program on a page, as a module of its own."""
    name = f"shown_on_{Path(page).stem.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(blocks(PAGES[page], "python")[0], encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_the_shown_task_keeps_the_contract(tmp_path, monkeypatch):
    name = shown_module("docs/add-a-task.md", tmp_path, monkeypatch)
    assert [wrong for _, wrong in run_checks(registry.task(f"{name}:Logistic")) if wrong] == []
    assert registry.task(f"{name}:Logistic", {"r": "0.4"}).r == 0.4


def test_the_shown_method_keeps_the_contract(tmp_path, monkeypatch):
    name = shown_module("docs/add-a-method.md", tmp_path, monkeypatch)
    assert [wrong for _, wrong in run_checks(registry.method(f"{name}:HillClimbing")) if wrong] == []
    assert registry.method(f"{name}:HillClimbing", {"size": "0.3"}).size == 0.3


def test_the_programs_about_python_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks(PAGES["docs/python.md"], "python"):
        exec(compile(block, "docs/python.md", "exec"), names)
    assert [run.status for run in names["records"]] == ["ok"] * 4
    assert names["board"].rows["score"].iloc[0] == pytest.approx(0, abs=1e-3)  # the floor, in float32
    assert names["gradient"].shape == (50, 1)
    assert names["score"] == pytest.approx(1, abs=1e-3)  # the best known controls, replayed in float32
    assert "cancer_treatment random 1 ok" in capsys.readouterr().out


def test_the_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    notebook = json.loads((ROOT / "docs" / "first-run.ipynb").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    names = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "docs/first-run.ipynb", "exec"), names)
            assert cell["outputs"] == []  # nothing stale is stored
    assert [run.status for run in names["records"]] == ["ok"] * 2
    drawn = [line.get_xydata() for line in names["axes"].get_lines()]
    assert [len(line) for line in drawn] == [*(len(run.curve) for run in names["records"]), 2]
    names["plt"].close(names["figure"])


def test_the_program_in_the_readme_prints_the_aggregate(monkeypatch, capsys):
    """On published records, because those that it would train take minutes."""
    published = [r for r in bench.read_records(ROOT / "results" / "published" / "smoke") if r.seed < 2]
    asked = []
    monkeypatch.setattr(bench, "run_cells", lambda cells, folder: asked.append((cells, folder)) or published, False)
    (block,) = blocks(PAGES["README.md"], "python")
    exec(compile(block, "README.md", "exec"), {})
    assert asked == [(suite.load("smoke").cells(seeds=2), Path("results/smoke"))]
    assert "one_step_model" in capsys.readouterr().out


def test_the_shown_suite_is_one(tmp_path):
    (block,) = blocks(PAGES["docs/running.md"], "toml")
    (tmp_path / "shown.toml").write_text(block, encoding="utf-8")
    assert len(suite.load(str(tmp_path / "shown.toml")).cells()) == 6
    keys = [key for row in re.findall(r"^\| (`.*?`) \|", PAGES["docs/running.md"], re.MULTILINE) for key in names(row)]
    assert sorted(keys) == sorted({f.name for f in dataclasses.fields(suite.Suite)} - {"name", "description", "budget"})


def names(row):
    """The names in code spans."""
    return re.findall(r"`([^`]+)`", row)


def test_the_columns_of_the_tables_are_those_of_the_code():
    shown = {file: columns.split(",") for file, columns in re.findall(r"`(\w+\.csv)` \| .*?`(.*?)`", JUDGING)}
    assert shown == {"leaderboard.csv": list(TaskRow._fields), "aggregate.csv": list(AggregateRow._fields)}
    explained = {name for row in re.findall(r"^\| (`.*?`) \|", JUDGING, re.MULTILINE) for name in names(row)}
    ends = ("_low", "_high")
    assert {name for name in (*TaskRow._fields, *AggregateRow._fields) if not name.endswith(ends)} <= explained


def test_the_fields_of_a_record_are_those_of_the_code():
    table = PAGES["docs/records.md"].partition("## The fields of a record")[2].partition("\n## ")[0]
    shown = [name for row in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for name in names(row)]
    stored = {field.name for field in dataclasses.fields(RunRecord)} - {"trajectory", "file"}
    assert sorted(shown) == sorted(stored)


def test_every_method_is_described():
    assert [name for name in METHODS if f"`{name}`" not in PAGES["docs/methods.md"].partition("## Settings")[0]] == []


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()  # what the format requires
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]
    (paper,) = citation["references"]
    assert paper["url"].rpartition("/")[2] in PAGES["README.md"]
