"""The records that CI's regression gate compares with: of the suite as it is now, or the gate would compare nothing."""

from pathlib import Path

from bench.cells import CellKey, changed, group
from bench.records import RunRecord, read_all
from bench.run import prepare
from bench.suite import load

BASELINE = Path(__file__).parent.parent / "results" / "published" / "smoke"
SEEDS = 20  # so that 2 seeds of a candidate can be judged


def test_the_published_smoke_records_are_of_the_suite_as_it_is(tmp_path):
    records = [record for record in read_all(BASELINE) if isinstance(record, RunRecord)]
    cells = group(records)
    for job in prepare(load("smoke").cells(), tmp_path):
        task = job.task
        key = CellKey("smoke", job.cell.task_label, float(task.horizon), task.num_steps, job.cell.method_label)
        where = f"{key.method} on {key.grid}: run `make publish-smoke` and commit what it writes"
        assert key in cells, where
        runs = cells[key]
        assert [run.seed for run in runs] == list(range(SEEDS)), where
        assert {run.fingerprint for run in runs} == {job.fingerprint}, where
        other = [name for name in changed(job.settings, runs[0].settings) if not name.startswith("method.")]
        assert not other, f"{where}: {other}"
        assert not any(run.provenance["dirty"] for run in runs), where
    assert not list(BASELINE.glob("trajectories/*"))  # as large as all records together, and no part of the verdict
