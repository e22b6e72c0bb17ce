"""The published records belong to the suites of today, and the README shows their leaderboard.

Else the regression gate would compare nothing, and the README would show what nobody can run.
"""

from pathlib import Path

import pytest

from bench.analysis.leaderboard import build
from bench.analysis.scores import CellKey, changed_settings, group_by_cell
from bench.records.cell_file import read_records
from bench.records.references import References
from bench.records.run import RunRecord
from bench.records.tuning import known_tunings
from bench.report.markdown import markdown
from bench.suite import load
from bench.sweep.job import prepare

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "results" / "published"
SEEDS = {"smoke": 20, "paper": 5, "core": 5}  # 20, so that 2 of a candidate can be judged
LEFT_TO_RUN = {"core": {"awm_lstm", "awm_rnn", "awm_s5", "history_model"}}  # results/README.md says so


@pytest.mark.parametrize(("suite", "seeds"), SEEDS.items())
def test_the_published_records_are_of_the_suite_as_it_is(suite, seeds, tmp_path):
    folder = PUBLISHED / suite
    records = [record for record in read_records(folder) if isinstance(record, RunRecord)]
    cells = group_by_cell(records)
    methods = [method for method in load(suite).methods if method not in LEFT_TO_RUN.get(suite, ())]
    for job in prepare(load(suite).cells(methods=methods), tmp_path):
        task = job.task
        key = CellKey(suite, job.cell.task_label, float(task.horizon), task.num_steps, job.cell.method_label)
        where = f"{key.method} on {key.grid}: run `make publish SUITE={suite} SEEDS={seeds}` and commit what it writes"
        assert key in cells, where
        runs = cells[key]
        assert [run.seed for run in runs] == list(range(seeds)), where
        assert {run.fingerprint for run in runs} == {job.fingerprint}, where
        other = [name for name in changed_settings(job.settings, runs[0].settings) if not name.startswith("method.")]
        assert not other, f"{where}: {other}"
        assert not any(run.provenance["dirty"] for run in runs), where
    assert not list(folder.glob("trajectories/*"))  # as large as all records together, and no part of the verdict


def test_the_readme_shows_the_published_leaderboard():
    folder = PUBLISHED / "paper"
    records = [record for record in read_records(folder) if isinstance(record, RunRecord)]
    board = build(records, References.beside(folder).by_fingerprint(), known_tunings(folder))
    tables = [table.partition("\n\n")[2] for table in markdown(board).split("\n\n### ")[:2]]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("<!-- leaderboard: ")[2].partition("-->\n")[2].partition("<!-- end of leaderboard -->")[0]
    assert "\n\n".join(tables).splitlines() == shown.splitlines()
