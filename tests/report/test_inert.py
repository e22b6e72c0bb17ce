"""Names, settings and errors are data: no terminal, CI service, spreadsheet or reader of markdown obeys them."""

import csv
import dataclasses
import io
import itertools

import pytest
from synthetic import record, references

from bench.analysis.leaderboard import build
from bench.cli.terminal.lines import echo
from bench.cli.terminal.tables import print_leaderboard
from bench.gate.junit import annotations
from bench.gate.regression import Check
from bench.machine.printing import inert, printable
from bench.report.check_summary import check_markdown
from bench.report.data_files import rows_csv
from bench.report.latex import latex
from bench.report.markdown import escaped, markdown
from bench.report.page import html_page
from bench.report.text import Table, text_column

EVIL = "\x1b[2J\x9b31m::error::owned\n  ::set-output name=x::y\n##[error]z # heading & <script>x</script> \u202e"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31m\x07\u202e\udcff", r"a\x1b[31m\x07\u202e\udcff"),
        ("é 漢字\tand\nlines", "é 漢字\tand\nlines"),
        ("::error::x", ": :error::x"),
        ("x\n \t::debug::y", "x\n \t: :debug::y"),
        ("##[error]x", "# #[error]x"),
        ("tcp://[::1]:8786 and a:b", "tcp://[::1]:8786 and a:b"),
    ],
)
def test_text_is_shown_and_not_obeyed(text, shown):
    assert inert(text) == shown
    assert printable(printable(text)) == printable(text)


def board(name):
    runs = [record(method=name, task=name, suite=name, seed=seed) for seed in range(2)]
    return build(runs, references(runs))


def test_names_are_data_in_every_view(capsys):
    leaderboard = dataclasses.replace(board(EVIL), notes=(EVIL,))
    print_leaderboard(leaderboard)
    echo(EVIL)
    echo(EVIL, err=True)
    printed = "\n".join(capsys.readouterr())
    for line in printed.splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
    text = markdown(leaderboard)
    assert not [line for line in text.splitlines() if line.lstrip("- ").startswith("# ")]
    assert "<script" not in text.replace("\\<", "")
    page = html_page(leaderboard)
    assert "<script>x" not in page
    paper = latex(leaderboard)
    for view in (printed, text, page, paper):
        assert not {"\x1b", "\x9b", "\u202e"} & set(view)
    below_titles = [after for line, after in itertools.pairwise(paper.splitlines()[1:]) if line.startswith("%")]
    assert {line.partition("{")[0] for line in below_titles} == {"\\begin"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("awm_gru", "awm_gru"),
        ("__main__:Own", "\\_\\_main\\_\\_:Own"),
        ("_a_", "\\_a\\_"),
        ("~~a~~*b*", "\\~\\~a\\~\\~\\*b\\*"),
    ],
)
def test_a_name_is_not_set_in_another_type(name, shown):
    assert escaped(name) == shown


def test_an_annotation_is_one_command():
    (line,) = annotations(Check((), (), unreadable=(EVIL,)))
    assert line.startswith("::error title=")
    assert "\n" not in line
    assert "\x1b" not in line


def test_the_page_of_a_step_holds_names_and_reasons_as_text():
    row = Table("t", (text_column("method"),), [(EVIL,)])
    page = check_markdown(Check((), (), unreadable=(EVIL,), notes=(EVIL,)), "REGRESSION", row)
    lines = [line for line in page.splitlines() if line]
    assert [line for line in lines if line.startswith("#")] == ["## bench check: REGRESSION", "### t"]
    assert {line[0] for line in lines} == {"#", "|", "-"}  # no line of EVIL's own
    assert sum("owned" in line for line in lines) == 3
    assert "<script" not in page.replace("\\<", "")
    assert not {"\x1b", "\x9b", "\u202e"} & set(page)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\n", "  ="])
def test_no_name_is_a_formula(start):
    (row,) = csv.DictReader(io.StringIO(rows_csv(board(f"{start}1+1"))))
    assert row["method"] == f"'{start}1+1"
    assert float(row["score"]) == float(row["score"])  # a number stays a number


def test_a_carriage_return_begins_no_row():
    (row,) = csv.DictReader(io.StringIO(rows_csv(board("a\r=1+1"))))
    assert row["method"] == r"a\r=1+1"
