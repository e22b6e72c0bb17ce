"""Two collections of records side by side."""

import dataclasses
import json
import math

import numpy as np
import pytest
from scipy.stats import ttest_ind
from synthetic import record, reference, references
from typer.testing import CliRunner

from bench.analysis.comparison import compare
from bench.analysis.scores import clipped_by_seed, group_by_cell
from bench.cli import app
from bench.records.cell_file import CellFile
from bench.records.reference_file import write_references
from bench.report.comparison import COMPARISON_FORMATS


def runs(scores, **changes):
    return [record(seed=seed, score=score, **changes) for seed, score in enumerate(scores)]


def compared(a, b, known=None, others=None):
    known = references([*a, *b]) if known is None else known
    return compare(group_by_cell(a), group_by_cell(b), known, known if others is None else others)


def test_a_difference_has_welchs_interval():
    a, b = runs([0.1, 0.2, 0.4, 0.3, 0.25]), runs([0.5, 0.7, 0.9, 0.4, 0.65, 0.8])
    (row,) = compared(a, b).rows
    x, y = (np.array([*clipped_by_seed(each, reference()).values()]) for each in (a, b))
    low, high = ttest_ind(y, x, equal_var=False).confidence_interval(0.95)
    assert row.difference == pytest.approx(y.mean() - x.mean(), rel=1e-12)  # rounding of sums
    assert (row.difference_low, row.difference_high) == pytest.approx((low, high), rel=1e-9)  # quantiles of t
    assert (row.a_seeds, row.b_seeds) == (5, 6)


def test_four_seeds_on_one_side_have_no_interval():
    (row,) = compared(runs([0.1] * 5), runs([0.1, 0.2, 0.3, 0.4])).rows
    assert math.isfinite(row.difference)
    assert math.isnan(row.difference_low)
    assert math.isnan(row.b_score_high)
    assert math.isfinite(row.a_score_low)


def test_what_differs_is_said():
    a = [*runs([0.5] * 5), *runs([0.5], method="only")]
    b = runs([0.5] * 5, rate=2.0, suite="another")
    found = compared(a, b, {"t-10": reference()}, {"t-10": reference(best=9.0)})
    text = "\n".join(found.notes)
    assert "Suites: A is of s, B of another" in text
    assert "Only in A: only on t (10 steps)" in text
    assert "Other settings: m on t (10 steps) of s (method.rate)." in text
    assert "Other reference: t (10 steps) of s, floor 20 and best 10 in A, 20 and 9 in B" in text
    assert [row.difference for row in found.rows if row.b_seeds] == [0.0]


def test_another_version_of_a_task_is_not_compared():
    b = [dataclasses.replace(run, fingerprint="new") for run in runs([0.9] * 5)]
    found = compared(runs([0.5] * 5), b)
    assert "Another version of the task" in found.notes[0]
    assert math.isnan(found.rows[0].difference)
    (row,) = json.loads(COMPARISON_FORMATS["json"][1](found))["rows"]
    assert row["difference"] is None
    assert row["a_score"] == 0.5


def test_the_command_prints_and_writes_both_sides(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for folder, score in ((a, 0.25), (b, 0.75)):
        for run in runs([score] * 5):
            CellFile.of(folder, run.key).put([run])
        write_references(folder / "references.toml", {"t-10": reference()})
    done = CliRunner().invoke(app, ["report", str(a), str(b), "--format", "csv"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "+0.500 [+0.500, +0.500]" in done.output
    assert "0.5" in (a / "comparison.csv").read_text().splitlines()[1].split(",")
    assert not (a / "comparison.md").exists()
    refused = CliRunner().invoke(app, ["report", str(a), str(b), "--format", "html"])
    assert "csv, markdown, json, got 'html'" in str(refused.exception)
