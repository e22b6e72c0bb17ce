"""A record is of the code, the precision and the packages that ran; what no longer matches runs again."""

import json
import re
import shutil
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from faulty_method import RandomWalk, suite_file
from reference_tasks import DoubleIntegrator

from bench import suite
from bench.records.cell_file import read_records
from bench.records.run import RunRecord
from bench.run import run
from bench.simulate import open_loop
from bench.sweep.execute import Outcome, execute, execute_in_worker, refused
from bench.sweep.executors import InProcess
from bench.sweep.job import prepare
from bench.sweep.observer import Silent
from bench.sweep.schedule import Backend, Sweep

STEP = RandomWalk.step


def rewritten(self, task, state, key):
    """The same step in other code."""
    return STEP(self, task=task, state=state, key=key)


def edited(self, task, state, key):
    """The step with another sign."""
    after = STEP(self, task, state, key)
    return eqx.tree_at(lambda s: s.u, after, -after.u)


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return suite.load(str(suite_file(tmp_path_factory.mktemp("suite"), 200, 2))).cells(seeds=2)


@pytest.fixture(scope="module")
def finished(cells, tmp_path_factory):
    """A folder with two runs."""
    folder = tmp_path_factory.mktemp("finished")
    run(cells, folder)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "out")


def stored(folder):
    """The records of a folder, all of which are readable."""
    return [record for record in read_records(folder) if isinstance(record, RunRecord)]


def changed(folder, seed, **values):
    """Change what the record of a seed says."""
    (path,) = folder.glob("records/*.jsonl")
    lines = list(map(json.loads, path.read_text().splitlines()))
    provenance = lines[seed]["provenance"] | values.pop("provenance", {})
    lines[seed] |= {"provenance": provenance} | values
    path.write_text("\n".join(map(json.dumps, lines)))


def test_code_that_computes_the_same_keeps_its_records(folder, cells, monkeypatch):
    (job,) = prepare(cells, folder)
    assert (job.todo, job.program) == ((), "")  # nothing was traced
    monkeypatch.setattr(RandomWalk, "step", rewritten)
    (job,) = prepare(cells, folder)
    assert job.todo == ()
    assert job.program


def test_an_edited_method_runs_again_and_says_why(folder, cells, monkeypatch):
    before = stored(folder)
    monkeypatch.setattr(RandomWalk, "step", edited)
    (job,) = prepare(cells, folder)
    assert job.todo == (0, 1)
    assert set(job.superseded().values()) == {"their code computed something else"}
    after = run(cells, folder)
    assert [r.cost for r in after] != [r.cost for r in before]
    assert {r.method_fingerprint for r in after}.isdisjoint(r.method_fingerprint for r in before)
    assert len(stored(folder)) == 2
    (kept,) = folder.glob("superseded/records-1/*.jsonl")
    assert [json.loads(line)["cost"] for line in kept.read_text().splitlines()] == [r.cost for r in before]
    assert prepare(cells, folder)[0].todo == ()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"provenance": {"precision": "float64"}}, r"they differ in precision \(float64, float32\)"),
        ({"provenance": {"packages": {"numpy": "1.0"}}}, r"they differ in numpy \(1.0, "),
        ({"provenance": {"packages": {"scipy": "1.0"}}}, ""),
        ({"sources": "other"}, ""),
        ({"sources": "other", "method_fingerprint": "other"}, "their code computed something else"),
    ],
)
def test_one_seed_that_does_not_match_runs_again(folder, cells, values, reason):
    changed(folder, 1, **values)
    (job,) = prepare(cells, folder)
    assert job.todo == ((1,) if reason else ())
    assert [*job.superseded()] == [*job.todo]
    if reason:
        assert re.match(reason, job.superseded()[1])


def test_records_of_unknown_code_are_kept_until_seeds_are_added(folder, cells):
    for seed in (0, 1):
        changed(folder, seed, sources="", method_fingerprint="")
    assert prepare(cells, folder)[0].todo == ()
    (job,) = prepare([replace(cells[0], seeds=(0, 1, 2))], folder)
    assert job.todo == (0, 1, 2)
    assert all("older than fingerprints" in reason for reason in job.superseded().values())


def test_float64_in_a_folder_of_float32_runs_again(folder, cells):
    with jax.enable_x64(True):
        (job,) = prepare(cells, folder)
    assert job.superseded() == dict.fromkeys((0, 1), "they differ in precision (float32, float64)")


def test_a_worker_refuses_other_mathematics(cells, tmp_path, monkeypatch):
    (job,) = prepare(cells, tmp_path)
    traced = job.traced()
    assert refused(job) is None
    others = {
        "task harvest computes something else": replace(job, fingerprint="other"),
        r"differ in precision \(float64, float32\)": replace(job, environment={"precision": "float64"}),
        r"differ in jax \(0.1, ": replace(job, environment={"packages": {"jax": "0.1"}}),
        "method faulty_method:RandomWalk computes something else": replace(traced, code="other", program="other"),
    }
    for reason, other in others.items():
        records = execute_in_worker(other).records
        assert [record.status for record in records] == ["failed"] * 2
        assert re.search(reason, records[0].error)
        assert len(records[0].error.splitlines()) == 1
    monkeypatch.setattr(RandomWalk, "step", rewritten)
    assert (refused(job) or Outcome([])).unsure
    assert refused(traced) is None
    monkeypatch.setattr(RandomWalk, "step", edited)
    assert (refused(traced) or Outcome([])).records


def test_a_worker_that_is_unsure_is_told_the_program(cells, tmp_path):
    calls = []

    def call(job):
        calls.append(job.program)
        return refused(replace(job, code="other")) or execute(job)

    sweep = Sweep(Backend(InProcess(), call, 1, lambda: False), Silent())
    sweep.run(prepare(cells, tmp_path))
    assert calls[0] == ""
    assert calls[1]
    assert {record.status for record in stored(tmp_path)} == {"ok"}


class Decay(DoubleIntegrator):
    """A task whose code changes while Python runs."""

    def vector_field(self, t, x, u):
        return jnp.stack([x[1], u[0]])


def slower(self, t, x, u):
    return jnp.stack([x[1], u[0] / 2])


def test_code_that_changes_in_a_session_computes_anew(cells, tmp_path, monkeypatch):
    def cost():
        (job,) = prepare([replace(cells[0], task=f"{__name__}:Decay")], tmp_path)
        return job.fingerprint, float(open_loop(job.task, jnp.ones((10, 1)), job.task.x0).cost)

    before = cost()
    monkeypatch.setattr(Decay.vector_field, "__code__", slower.__code__)
    after = cost()
    assert after[0] != before[0]
    assert after[1] != before[1]
    monkeypatch.undo()
    assert cost() == before
