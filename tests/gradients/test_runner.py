"""The runner of diagnostics, with made-up diagnostics."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.gradients import measure, records, runner
from bench.gradients.records import Measurement
from bench.gradients.runner import Diagnostic, Runner
from bench.sweep.observer import Silent
from bench.sweep.schedule import Backend


@pytest.mark.parametrize("broken", [(), ("first",)])
def test_results_follow_the_requests_and_not_which_one_ends_first(tmp_path, monkeypatch, broken):
    second_is_told = threading.Event()
    monkeypatch.setattr(Silent, "say", lambda self, text: second_is_told.set())

    def compute(request, references):
        if request.policy == "first":
            assert second_is_told.wait(30)
        if request.policy in broken:
            raise ArithmeticError("no luck")
        return [Measurement("s", "t", 1.0, 10, "m", request.policy, "model", 1, 0, 0.0, [], {}, "f")]

    fake = Diagnostic("gradients", compute, records.read_measurements)
    monkeypatch.setitem(runner.DIAGNOSTICS, measure.Request, fake)
    asked = [measure.Request("s", Path(f"{name}.checkpoint"), name, (), (), ()) for name in ("first", "second")]
    with ThreadPoolExecutor(2) as executor:
        work = Runner(tmp_path, Backend(executor, lambda job: None, 2, lambda: False), Silent())
        work.compute(asked)
    assert [m.policy for m in work.measurements()] == [name for name in ("first", "second") if name not in broken]
    assert work.failed == len(broken)
