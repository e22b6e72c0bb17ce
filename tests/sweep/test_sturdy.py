"""A value that cannot be stored fails its own record, and the user's exception is shown."""

import inspect
import json
import math
import pickle
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faulty_method import suite_file
from reference_tasks import DoubleIntegrator
from typer.testing import CliRunner

from bench import suite
from bench.cli import app
from bench.errors import UsageError
from bench.machine import locks
from bench.records.run import run_name, storable
from bench.reference.fingerprint import fingerprint
from bench.sweep import schedule, store
from bench.sweep.failure import describe
from bench.sweep.job import prepare
from bench.sweep.observer import Silent
from bench.sweep.schedule import Sweep, in_process


def test_numbers_that_json_lacks_are_stored_and_equal_on_reading():
    settings = {
        "a": math.inf,
        "b": [-math.inf, math.nan],
        "c": np.int64(20),
        "d": np.float32(0.5),
        "e": np.float32(np.nan),
    }
    stored = storable(settings)
    assert stored == {"a": "Infinity", "b": ["-Infinity", "NaN"], "c": 20, "d": 0.5, "e": "NaN"}
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored


def test_finite_settings_keep_the_name_of_their_files():
    key = {"task": "t", "method": "m", "settings": {"x": 0.1, "n": 3, "on": True, "s": "tsit5", "none": None}}
    assert run_name(key | {"settings": storable(key["settings"])}) == run_name(key)


def test_what_is_no_number_is_left_alone():
    assert storable({"s": "Infinity", "on": False}) == {"s": "Infinity", "on": False}


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="cannot be stored"):
        storable(1j)


def test_a_record_that_cannot_be_written_fails_its_cell_alone(tmp_path, monkeypatch):
    cells = suite.load(str(suite_file(tmp_path, 200, 2))).cells(tasks=["harvest", "bacteria"], seeds=1)
    encode = store.encode_run

    def refuse(record):
        if record.task == "harvest":
            raise ValueError("Out of range float values are not JSON compliant: inf")
        return encode(record)

    monkeypatch.setattr(store, "encode_run", refuse)
    jobs = prepare(cells, tmp_path)
    sweep = Sweep(in_process(Silent()), Silent())
    sweep.run(jobs)
    ((place, reason),) = sweep.unstored.items()
    assert place == f"{jobs[0].stored.path} (seed 0)"
    assert "not JSON compliant" in reason
    assert jobs[1].stored.read().records[0].status == "ok"


def test_a_checkpoint_that_a_kill_left_beside_its_record_is_swept_up(tmp_path, monkeypatch):
    cells = suite.load(str(suite_file(tmp_path, 200, 2))).cells(tasks=["harvest"], seeds=1)
    with monkeypatch.context() as killed:
        killed.setattr(store, "discard_checkpoints", lambda job: None)
        Sweep(in_process(Silent()), Silent()).run(prepare(cells, tmp_path))
    assert len(list(tmp_path.glob("checkpoints/*"))) == 1
    jobs = prepare(cells, tmp_path)
    assert not jobs[0].todo
    with locks.hold(jobs[0].lock):  # another process may be training it again
        Sweep(in_process(Silent()), Silent()).run(jobs)
    assert len(list(tmp_path.glob("checkpoints/*"))) == 1
    command = ["run", str(tmp_path / "walks.toml"), "--task", "harvest", "--seeds", "1", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert not list(tmp_path.glob("checkpoints/*"))


class Priced(DoubleIntegrator):
    """A price that is a function without a name, which cannot be pickled."""

    price: Callable = eqx.field(static=True, default=lambda t: 1 + t)

    def running_cost(self, t, x, u):
        return self.price(t) * u[0] ** 2


def test_a_job_that_holds_a_lambda_reaches_a_worker(tmp_path):
    cells = suite.load(str(suite_file(tmp_path, 200, 2))).cells(tasks=[f"{__name__}:Priced"], seeds=1)
    (job,) = prepare(cells, tmp_path)
    sent = pickle.loads(pickle.dumps(job))
    assert (sent.key, sent.budget, sent.method) == (job.key, job.budget, job.method)
    assert fingerprint(sent.task) == job.fingerprint


class Broken(DoubleIntegrator):
    def running_cost(self, t, x, u):
        raise ValueError("the tariff of the day\nis not known")


BROKEN = f"ValueError: the tariff of the day ({__file__}:{inspect.getsourcelines(Broken)[1] + 2})"


def test_a_task_that_raises_is_refused_with_the_users_line(tmp_path):
    cells = suite.load(str(suite_file(tmp_path, 200, 2))).cells(tasks=[f"{__name__}:Broken"], seeds=1)
    with pytest.raises(UsageError) as refused:
        prepare(cells, tmp_path)
    assert str(refused.value) == f"task {__name__}:Broken: {BROKEN}"


def test_an_error_in_the_search_for_a_reference_is_shown_with_the_users_line(tmp_path, monkeypatch):
    cells = suite.load(str(suite_file(tmp_path, 200, 2))).cells(tasks=[f"{__name__}:Priced"], seeds=1)
    monkeypatch.setattr(schedule, "complete", lambda *_: Broken().running_cost(0, 0, 0))
    sweep = Sweep(in_process(Silent()), Silent())
    sweep.run(prepare(cells, tmp_path))
    ((_, record),) = sweep.failed
    assert record.error.splitlines()[-1] == BROKEN


def test_the_last_line_of_an_error_is_the_users_own():
    def theirs(x):
        return x.reshape(7)  # the line that a user must find

    with pytest.raises(TypeError) as caught:
        jax.jit(theirs)(jnp.zeros(3))
    text = describe(caught.value)
    assert "removed its internal frames" not in text
    last = text.strip().splitlines()[-1]
    line = inspect.getsourcelines(theirs)[1] + 1
    assert last.startswith("TypeError: ")
    assert last.endswith(f"({__file__}:{line})")


def test_an_error_without_a_message_or_a_file_is_named():
    assert describe(KeyboardInterrupt()).strip() == "KeyboardInterrupt\nKeyboardInterrupt"
