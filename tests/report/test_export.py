"""Records as tidy tables."""

import math

import pandas as pd
from synthetic import record, reference
from typer.testing import CliRunner

from bench.cli import app
from bench.records.cell_file import CellFile
from bench.records.reference_file import write_references


def test_every_run_and_every_evaluation_has_a_line_in_both_forms(tmp_path):
    layers = {"method": {"rate": "Infinity", "sizes": [3, 4]}, "task": {"on": True}, "budget": {"env_steps": 500}}
    runs = [record(seed=0, score=0.5), record(seed=1, score=None), record("=other", score=0.75)]
    runs[2].settings.update(layers)
    for run in runs:
        CellFile.of(tmp_path, run.key).put([run])
    write_references(tmp_path / "references.toml", {"t-10": reference()})
    done = CliRunner().invoke(app, ["export", str(tmp_path), "--to", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    for read, ending, other in ((pd.read_csv, "csv", "'=other"), (pd.read_parquet, "parquet", "=other")):
        table = read(tmp_path / "out" / f"runs.{ending}").set_index(["method", "seed"]).sort_index()
        assert table.loc[("m", 0), "score"] == 0.5
        assert table.loc[("m", 1), "status"] == "failed"
        assert table.loc[("m", 0), "method.rate"] == 1.0
        assert table.loc[(other, 0), "method.rate"] == math.inf
        assert table.loc[(other, 0), "method.sizes"] == "[3, 4]"
        assert table.loc[(other, 0), "task.on"] in (True, "True")
        assert table["budget.env_steps"].tolist() == [500] * 3
        curves = read(tmp_path / "out" / f"curves.{ending}")
        assert len(curves) == sum(len(run.curve) for run in runs)
        last = curves[curves.method == "m"].iloc[-1]
        assert (last.env_steps, last.updates, last.score) == (500, 50, 0.5)
