"""Tables for people: their columns, and how views align them."""

import html.parser
import math

import numpy as np
import pytest
from synthetic import record, references, sample

from bench.analysis.leaderboard import build
from bench.gradients import summary
from bench.report import overview, page, text
from bench.report.markdown import markdown
from bench.report.page import html_page
from bench.report.text import AGGREGATE_COLUMNS, TASK_COLUMNS, aggregate_tables, task_tables

COLUMNS = {
    "aggregate": [each.column for each in AGGREGATE_COLUMNS],
    "task": [each.column for each in TASK_COLUMNS],
    "areas": list(page.AREA_COLUMNS),
    "runs": list(page.RUN_COLUMNS),
    "origins": list(page.ORIGIN_COLUMNS),
    "gradients": list(summary.COLUMNS),
}
WORDS = {
    "method",
    "group",
    "model",
    "suite",
    "task",
    "status",
    "started",
    "version",
    "commit",
    "tree",
    "device",
    "precision",
}


@pytest.fixture(scope="module")
def board():
    runs = sample({"good": 0.8, "fair": 0.5}, seeds=5)
    for run in runs:
        run.rescored.update(adaptive=run.curve[-1]["cost"], finer=run.curve[-1]["cost"], end_error=0.3, violation=0.02)
        run.usage["acting_env_steps"] = 7
    return build(runs, references(runs))


@pytest.mark.parametrize("columns", COLUMNS.values(), ids=COLUMNS)
def test_every_column_has_a_heading_a_meaning_and_a_side(columns):
    headings = [column.heading for column in columns]
    assert len(set(headings)) == len(headings)
    for column in columns:
        assert column.heading
        assert column.meaning
        assert column.align == ("left" if column.heading in WORDS else "right"), column.heading


def test_markdown_aligns_words_left_and_numbers_right(board):
    lines = markdown(board).splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith("| ") and lines[i + 1].startswith("| -")]
    assert len(heads) == 2 + 2  # two for the suite, and one for each of two tasks
    for i in heads:
        headings, rules = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[i : i + 2])
        assert dict(zip(headings, rules, strict=True)) == {
            name: "---" if name in WORDS else "---:" for name in headings
        }


class Heads(html.parser.HTMLParser):
    """For each table its headings with their attributes, and the classes of the cells of its first line."""

    def __init__(self):
        super().__init__()
        self.tables, self.open = [], None

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "table":
            self.tables.append(([], []))
        elif tag == "th" and attributes.get("scope") == "col":
            self.tables[-1][0].append(["", attributes])
            self.open = self.tables[-1][0][-1]
        elif tag in ("td", "th") and len(self.tables[-1][1]) < len(self.tables[-1][0]):
            self.tables[-1][1].append(attributes.get("class", ""))

    def handle_endtag(self, tag):
        if tag == "th":
            self.open = None

    def handle_data(self, data):
        if self.open is not None:
            self.open[0] += data


def test_the_page_takes_sides_and_tooltips_from_the_columns(board):
    found = Heads()
    found.feed(html_page(board))
    known = {(c.heading, c.meaning, c.align) for columns in COLUMNS.values() for c in columns}
    known |= {(task, overview.CELL, "right") for task in ("t", "u")}
    tables = [(heads, cells) for heads, cells in found.tables if any("title" in attributes for _, attributes in heads)]
    assert len(tables) == 6  # two of the suite, two tasks, the origins and the runs
    for heads, cells in tables:
        for heading, attributes in heads:
            side = "right" if attributes.get("class") == "n" else "left"
            assert (heading, attributes["title"].removesuffix(", with its 95 % interval"), side) in known
        if cells:  # but those that a script makes
            assert [a.get("class") == "n" for _, a in heads] == [c.startswith("n") for c in cells]


def test_the_terminals_tables_are_those_of_the_leaderboard(board):
    (total,) = aggregate_tables(board)
    assert total.headings == tuple(each.column.heading for each in AGGREGATE_COLUMNS)
    assert [dict(zip(total.headings, row, strict=True))["method"] for row in total.rows] == ["good", "fair"]
    for table in task_tables(board):
        assert table.headings == tuple(each.column.heading for each in TASK_COLUMNS)
        assert {dict(zip(table.headings, row, strict=True))["miss"] for row in table.rows} == {"! 30 %"}


def test_every_method_stands_on_every_task_with_score_and_decades():
    scores = {"good": (0.99, 0.989, 0.991, 0.99, 0.99), "fair": (0.5, 0.4, 0.6, 0.5, 0.5)}
    runs = [
        record(m, seed, s, task) for m, each in scores.items() for task in ("t", "u") for seed, s in enumerate(each)
    ]
    runs = [run for run in runs if (run.method, run.task) != ("fair", "u")]
    board = build(runs, references(runs))
    (whole,) = overview.overview_tables(board, across=2)
    assert whole.headings == ("method", "t", "u")
    # Only one method is ranked: the other lacks a task. Student's t of 4 degrees of freedom is 2.776.
    half = 2.776 * np.std(scores["good"], ddof=1) / np.sqrt(5)
    assert whole.rows[0][:2] == ("good", f"*0.990 ± {half:.3f}\n*2.00 ± 0.04")
    assert whole.rows[1] == ("fair", "0.500 ± 0.088\n0.30 ± 0.08", "")
    assert [table.headings for table in overview.overview_tables(board, across=1)] == [("method", "t"), ("method", "u")]
    lines = markdown(board).splitlines()
    assert lines[0] == "### s: score and decades of regret"
    assert "| fair | 0.500 ± 0.088<br>0.30 ± 0.08 |  |" in lines
    few = build(runs[:3], references(runs))
    assert next(overview.overview_tables(few, across=2)).rows == [("good", "0.990\n2.00")]


def test_grids_of_one_task_have_names_of_their_own():
    runs = sample({"good": 0.8}, tasks=("t",), seeds=1, grids=(10, 20)) + sample({"good": 0.8}, tasks=("u",), seeds=1)
    (whole,) = overview.overviews(build(runs, references(runs)))
    assert [grid.heading for grid in whole.grids] == ["t, 10 steps", "t, 20 steps", "u"]


def test_a_rank_is_shown_with_its_interval_and_a_method_without_one_by_its_class(board):
    (total,) = aggregate_tables(board)
    shown = [dict(zip(total.headings, row, strict=True)) for row in total.rows]
    assert [(row["rank"], row["group"], row["won"]) for row in shown] == [
        ("planner 1 [1-1]", "a", "2"),
        ("planner 2 [2-2]", "b", "0"),
    ]
    few = sample({"good": 0.8}, seeds=2)
    (total,) = aggregate_tables(build(few, references(few)))
    assert total.rows[0][:2] == ("unranked", "good")
    assert {"group", "95 % interval", "won"}.isdisjoint(total.headings)


def test_a_column_that_says_nothing_is_left_out():
    (table,) = task_tables(build([record()], references([record()])))
    assert {"gap", "miss", "violation", "steps simulated to act"}.isdisjoint(table.headings)
    assert "95 % interval" not in table.headings  # a single run has none
    assert len(table.columns) == len(table.rows[0]) == len(TASK_COLUMNS) - 5


def test_every_choice_of_the_page_is_for_columns_that_exist():
    shown = [*COLUMNS["aggregate"], *COLUMNS["task"], *COLUMNS["areas"]]
    assert set(page.GROUPS) <= {column.heading for column in shown}


def test_numbers_that_do_not_exist_are_empty():
    shown = [text.show_score(math.nan), text.show_number(math.nan), text.show_percent(math.nan), text.show_count(None)]
    assert shown == [""] * 4
    assert text.show_interval(math.nan, math.nan) == ""
    assert text.show_score(-0.0001) == "0.000"
    assert text.show_score(-12.3) == "-12"
