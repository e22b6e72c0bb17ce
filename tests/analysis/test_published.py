"""The records that CI's regression gate compares with, and those of the README's leaderboard: of the suites as they are
now, or the gate would compare nothing and the leaderboard would show what nobody can run."""

from pathlib import Path

import pytest

from bench.analysis.scores import CellKey, changed_settings, group_by_cell
from bench.records.run import RunRecord, read_records
from bench.suite import load
from bench.sweep.job import prepare

PUBLISHED = Path(__file__).parents[2] / "results" / "published"
SEEDS = {"smoke": 20, "paper": 5}  # 20, so that 2 of a candidate can be judged


@pytest.mark.parametrize(("suite", "seeds"), SEEDS.items())
def test_the_published_records_are_of_the_suite_as_it_is(suite, seeds, tmp_path):
    folder = PUBLISHED / suite
    records = [record for record in read_records(folder) if isinstance(record, RunRecord)]
    cells = group_by_cell(records)
    for job in prepare(load(suite).cells(), tmp_path):
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
