"""Time of a report of ten thousand records in every format, as a ratio to only reading their files."""

import json
import time

import pytest
from synthetic import record, references, write_record
from test_speed import judge

from bench.analysis.leaderboard import build
from bench.records.cell_file import read_records
from bench.records.run import RunRecord
from bench.report import FORMATS

ROUNDS = 3


@pytest.mark.parametrize(("tasks", "methods", "seeds"), [(24, 14, 30), (100, 1, 100)], ids=["suite", "seeds"])
def test_a_report_of_ten_thousand_records(benchmark, tmp_path, tasks, methods, seeds):
    runs = [
        record(f"m{m}", seed, score=m / 20 + seed / 200, task=f"t{task}", points=25)
        for task in range(tasks)
        for m in range(methods)
        for seed in range(seeds)
    ]
    for i, run in enumerate(runs):
        write_record(tmp_path / "records" / f"{i}.json", run)
    known = references(runs)

    def whole():
        board = build([run for run in read_records(tmp_path) if isinstance(run, RunRecord)], known)
        return [render(board) for files in FORMATS.values() for render in files.values()]

    def only_read():
        return [json.loads(path.read_text()) for path in (tmp_path / "records").glob("*.json")]

    times: dict = {whole: [], only_read: []}
    for _ in range(ROUNDS):
        for function, measured in times.items():
            began = time.perf_counter()
            function()
            measured.append(time.perf_counter() - began)
    benchmark.pedantic(whole, rounds=1)
    judge(benchmark, f"report-{tasks}x{methods}x{seeds}", min(times[whole]) / min(times[only_read]))
