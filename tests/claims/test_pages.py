"""Findings in words: in the terminal, the table of claims, the page of a claim with its figure, and a folder's page."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from synthetic import record, references

from bench.analysis.leaderboard import build
from bench.analysis.stats import t_quantile
from bench.claims import report, verdicts
from bench.claims.claim import Claim, Experiment
from bench.claims.effects import Evidence
from bench.claims.figure import figure
from bench.claims.page import write_page
from bench.claims.power import chance, with_power
from bench.claims.sequential import nominal_levels
from bench.report.page import html_page

SCORES = {"a": 0.95, "b": 0.5, "c<i>": 0.9501}


@pytest.fixture(scope="module")
def finding():
    runs = [
        record(m, seed, 1 - (1 - s) * (0.9 + 0.05 * seed), task)
        for m, s in SCORES.items()
        for task in ("t", "u")
        for seed in range(5)
    ]
    claim = Claim("x", "a <i> beats b", "section 5", "e", "regret", "a", ("b", "c<i>"))
    found = verdicts.judge(claim, Experiment("runs", ("t", "u")), Evidence({"e": runs}, references(runs), [], []))
    return with_power(found)


def test_a_finding_is_told_in_the_terminal(finding):
    shown = "\n".join(report.heading(finding))
    assert "x: FAILS (2 TASKS ONLY). a <i> beats b" in shown
    assert "better than b; equivalent to c<i>" in shown
    row = report.comparison_table(finding).rows[0]
    assert row[:4] == ("b", "better*", "decades over seeds", "+1.00")
    assert row[6] == "2 of 2 tasks"
    power = report.power_table(finding)
    assert power.rows[0] == ("b", "0.2 decades", "1.00", "1.00", "", "")  # two tasks: over seeds alone
    assert [row[1] for row in report.estimate_table(finding).rows] == ["decades", "score"] * 2


def test_the_page_of_a_claim_says_all_that_a_reader_needs(finding, tmp_path):
    path = write_page(finding, tmp_path, html=True)
    markdown, html = (path.with_suffix(s).read_text(encoding="utf-8") for s in (".md", ".html"))
    for part in ("Statement", "Verdict", "Design", "Effects", "Verdicts", "What would change", "Command"):
        assert f"## {part}" in markdown
        assert f"<h2>{part}" in html
    for text in (markdown, html):
        assert "section 5" in text
        assert "python -m bench claims --only x" in text
        assert "an effect that is nearer to 0 by" in text
        assert "<i>" not in text.replace("\\<i>", "")
    assert "better than b; equivalent to c\\<i>" in markdown
    assert html.count("<svg") == 1


def test_the_figure_has_a_line_for_each_comparison_and_task(finding):
    root = ET.fromstring(figure(finding))
    names = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert names[:6] == ["against b: better", "t", "u", "against c<i>: equivalent", "t", "u"]
    circles = list(root.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 6
    places = [float(c.get("cx")) for c in circles]
    assert min(places[:3]) > max(places[3:])  # one decade lies to the right of none
    assert all(0 < x < float(root.get("width")) for x in places)


def test_findings_are_stored_and_shown_on_a_folders_page(finding, tmp_path):
    assert report.section(tmp_path) == {}
    stored = json.dumps({"schema": report.SCHEMA, "findings": verdicts.findings_to_json([finding])})
    assert "| x | a \\<i> beats b | fails (2 tasks only) |" in report.markdown([finding])
    said = []
    (tmp_path / "claims.json").write_text("[]")  # of an older version
    assert report.read_findings(tmp_path / "claims.json", said.append) == []
    assert "no findings" in said[0]
    (tmp_path / "claims.json").write_text(stored)
    assert report.read_findings(tmp_path / "claims.json", said.append) == [finding]
    runs = [record("a", seed, 0.9) for seed in range(2)]
    board = build(runs, references(runs))
    assert "a &lt;i&gt; beats b" in html_page(replace(board, diagnostics=report.section(tmp_path)))
    assert "Gradients and claims" not in html_page(board)
    broken = tmp_path / "broken" / "gradients" / "x.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("[{")
    said.clear()
    assert report.section(tmp_path / "broken", said.append) == {}
    assert "x.json" in said[0]


def test_power_is_that_of_the_test(finding):
    """An effect as large as the difference that is just significant has a chance of a half at the first look."""
    c = finding.comparisons[0]
    error = 0.01 / 2**0.5  # of the mean of two tasks with .01 each
    tasks = [replace(task, standard_error=0.01) for task in c.tasks]
    just = t_quantile(1 - nominal_levels(0.05)[0] / 2, np.float64(16.0)) * error
    found = chance(replace(c, tasks=tasks), just, "seeds", within=5)
    # .02 of the simulation; t is skew, and unequal variances in samples take some degrees of freedom.
    assert found == pytest.approx(0.5, abs=0.06)
    assert chance(replace(c, tasks=tasks), just, "seeds") > found + 0.2
