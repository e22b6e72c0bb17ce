"""A run that is killed and started again ends like an uninterrupted one; checkpoints that do not fit are refused."""

import dataclasses
import hashlib
import io
import json
import os
import random
import time
from functools import partial

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from faulty_method import RandomWalk, RandomWalkState, bench, start, suite_file
from reference_tasks import DoubleIntegrator

from bench import run as bench_run
from bench import suite
from bench.budget import Budget
from bench.records.cell_file import read_records
from bench.sweep.status import last_point
from bench.training.checkpoint import MAGIC, Checkpoint, Progress, program_digest, state_digests
from bench.training.saved_progress import check_progress
from bench.training.train import train

IDENTITY = {"seeds": [1]}
BUDGET = Budget(800, evals=4)


def walk(checkpoint, budget=BUDGET):
    """A small training run, as an iterator."""
    return train(DoubleIntegrator(), RandomWalk(work=50), budget, (1,), lambda _: checkpoint)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The evaluations of an uninterrupted run, and its checkpoint after each."""
    checkpoint = Checkpoint(tmp_path_factory.mktemp("whole") / "c.checkpoint", IDENTITY)
    return [(evaluation, checkpoint.path.read_bytes()) for evaluation in walk(checkpoint)]


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "c.checkpoint", IDENTITY)


def resumed(checkpoint, whole):
    """The evaluations of a run that finds `checkpoint`, which must be those of the whole run."""
    found = list(walk(checkpoint))
    for one, (other, _) in zip(found, whole, strict=True):
        np.testing.assert_array_equal(one.cost, other.cost)
        np.testing.assert_array_equal(one.end_error, other.end_error)
        names = ("env_steps", "share", "state", "final", "program")
        assert [getattr(one, name) for name in names] == [getattr(other, name) for name in names]
    return found


@pytest.mark.parametrize("chunks", [1, 3, 5])
def test_training_goes_on_from_a_checkpoint_to_the_bit(checkpoint, whole, chunks):
    checkpoint.path.write_bytes(whole[chunks - 1][1])
    found = resumed(checkpoint, whole)
    assert checkpoint.notes == []
    # Chunks that are done keep the seconds of the first time.
    same = [one.train_seconds == other.train_seconds for one, (other, _) in zip(found, whole, strict=True)]
    assert same == [True] * chunks + [False] * (5 - chunks)


def seeds_checkpoints(folder):
    return lambda seeds: Checkpoint(folder / f"{seeds}.checkpoint", {"seeds": list(seeds)})


# A GPU adds in another order for another batch, and a block of seeds is one batch and one checkpoint there.
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="on a GPU a block of seeds has one checkpoint")
@pytest.mark.parametrize("seeds", [(1,), (0, 1), (2, 1, 0)])
def test_a_seed_goes_on_from_where_it_was_whatever_its_block(tmp_path, whole, seeds):
    (tmp_path / "(1,).checkpoint").write_bytes(whole[2][1])
    keep = seeds_checkpoints(tmp_path)
    found = list(train(DoubleIntegrator(), RandomWalk(work=50), BUDGET, seeds, keep))
    i = seeds.index(1)
    for one, (other, _) in zip(found, whole, strict=True):
        assert (one.cost[i], one.end_error[i]) == (other.cost[0], other.end_error[0])
    last, (alone, _) = found[-1], whole[-1]
    assert (last.state[i], last.final[i], last.program) == (alone.state[0], alone.final[0], alone.program)  # all bits
    assert len(set(last.state)) == len(seeds)
    saved = [json.loads((tmp_path / f"({seed},).checkpoint").read_bytes().split(b"\n")[1])["curve"] for seed in seeds]
    assert [point["train_seconds"] for point in saved[i][:3]] == [
        one.train_seconds for one, _ in whole[:3]
    ]  # not again


def test_after_a_damaged_checkpoint_the_run_starts_afresh(checkpoint, whole):
    checkpoint.path.write_bytes(whole[2][1][:-7])
    resumed(checkpoint, whole)
    (note,) = checkpoint.notes
    assert "truncated or garbled" in note
    assert "kept as c.checkpoint.unusable-1; started afresh" in note
    assert checkpoint.path.with_name("c.checkpoint.unusable-1").read_bytes() == whole[2][1][:-7]


def test_a_cap_on_seconds_ends_a_run_and_goes_on_ending_it(checkpoint):
    budget = Budget(800, evals=4, seconds=1e-9)
    (first,) = walk(checkpoint, budget=budget)
    (again,) = walk(checkpoint, budget=budget)
    assert first.share == 0
    assert first.state == again.state != ()


def load(checkpoint, data, program=None, shapes=None):
    checkpoint.path.write_bytes(data)
    return checkpoint.load(
        program or json.loads(data.split(b"\n")[1])["program"],
        shapes or jax.eval_shape(jax.vmap(lambda k: RandomWalk().init(DoubleIntegrator(), k)), jr.split(jr.key(0), 1)),
    )


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:], lambda b: b"{}\n{}"])
def test_a_damaged_checkpoint_is_told_from_a_whole_one(checkpoint, whole, damage):
    program = json.loads(whole[1][1].split(b"\n")[1])["program"]
    assert load(checkpoint, whole[1][1]) is not None
    assert load(checkpoint, damage(whole[1][1]), program) is None
    assert "truncated or garbled" in checkpoint.notes[0]
    assert not checkpoint.path.exists()


def changed(data, leaves=None, last_point=None, **changes):
    """A checkpoint with another header, evaluation or other leaves, and with the right checksum of these."""
    _, text, old = data.split(b"\n", 2)
    header = json.loads(text) | changes
    if last_point:
        header["curve"][-1] |= last_point
    body = json.dumps(header).encode() + b"\n" + (old if leaves is None else leaves(old))
    return f"{MAGIC}{hashlib.sha256(body).hexdigest()}\n".encode() + body


def huge_leaf(leaves):
    """The first array claims 32 GiB."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (2**33,)})
    return file.getvalue() + leaves[:100]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ({"done": 10**9}, "are not those of this run"),
        ({"done": "2"}, "no progress"),
        ({"done": True}, "no progress"),
        ({"curve": {}}, "no curve"),
        ({"curve": []}, "0 evaluations"),
        ({"curve": [{}, {}]}, "its curve is garbled"),
        ({"last_point": {"more": 1}}, "entries that this version does not know: more"),
        ({"last_point": {"train_seconds": 0}}, "its train_seconds fall"),
        ({"last_point": {"cpu_seconds": 0}}, "its cpu_seconds fall"),
        ({"last_point": {"env_steps": 1}}, "spent something else"),
        ({"last_point": {"updates": 10**30}}, "spent something else"),
        ({"leaves": lambda leaves: leaves[:-9]}, "its state cannot be read"),
        ({"leaves": lambda leaves: b""}, "its state cannot be read"),
        ({"leaves": lambda leaves: b"PK\x03\x04" + leaves}, "its state cannot be read"),
        ({"leaves": huge_leaf}, "its state cannot be read"),
        ({"leaves": lambda leaves: leaves + b"x"}, "more in it than the state"),
    ],
)
def test_a_checkpoint_that_passes_its_checksum_and_makes_no_sense_is_set_aside(checkpoint, whole, damage, reason):
    points = [json.loads(data.split(b"\n")[1])["done"] for _, data in whole]
    known = json.loads(whole[-1][1].split(b"\n")[1])["curve"][-1]
    usage = RandomWalk().usage(DoubleIntegrator())
    accept = partial(check_progress, known=known, usage=usage, points=points, seeds=1)
    program = json.loads(whole[1][1].split(b"\n")[1])["program"]
    shapes = jax.eval_shape(jax.vmap(lambda k: RandomWalk().init(DoubleIntegrator(), k)), jr.split(jr.key(0), 1))
    checkpoint.path.write_bytes(whole[1][1])
    assert checkpoint.load(program, shapes, accept) is not None
    checkpoint.path.write_bytes(changed(whole[1][1], **damage))
    last_point(checkpoint.path)
    assert checkpoint.load(program, shapes, accept) is None
    assert reason in checkpoint.notes[0]
    assert not checkpoint.path.exists()


def test_a_checkpoint_with_more_bytes_than_its_run_can_need_is_not_read(checkpoint, whole):
    checkpoint.path.write_bytes(whole[2][1])
    os.truncate(checkpoint.path, 10**12)  # a file of holes
    resumed(checkpoint, whole)
    assert "it has 1000000000000 bytes" in checkpoint.notes[0]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("nowhere")])
def test_a_run_goes_on_past_what_is_no_file(checkpoint, whole, make):
    make(checkpoint.path)
    assert last_point(checkpoint.path) is None
    resumed(checkpoint, whole)
    assert "kept as c.checkpoint.unusable-1; started afresh" in checkpoint.notes[0]


def test_a_checkpoint_of_something_else_is_refused_with_the_reason(checkpoint, whole, monkeypatch):
    data = whole[1][1]

    def reason(**changes):
        assert load(checkpoint, data, **changes) is None
        return checkpoint.notes.pop()

    assert "another program" in reason(program="0")
    three = jax.eval_shape(jax.vmap(lambda k: RandomWalk().init(DoubleIntegrator(), k)), jr.split(jr.key(0), 3))
    assert "another state" in reason(shapes=three)
    checkpoint.identity = {"seeds": [2]}
    assert "another identity.seeds: [1], and this run has [2]" in reason()
    checkpoint.identity = IDENTITY
    monkeypatch.setattr("bench.training.checkpoint.SCHEMA", 2)
    assert "another schema: 1, and this run has 2" in reason()


def test_a_changed_constant_is_another_program_and_a_changed_comment_is_not():
    def digest(source):
        names = {}
        exec(source, names)
        return program_digest(jax.jit(names["f"]).lower(1.0))

    assert digest("def f(x):\n return 2.0 * x") == digest("# twice\ndef f(y):\n\n  return 2.0 * y")
    assert digest("def f(x):\n return 2.0 * x") != digest("def f(x):\n return 3.0 * x")


def test_keys_and_small_floats_return_as_they_were(checkpoint):
    def state(i):
        key = jr.key(i, impl="rbg")
        bits = jnp.full(8, jnp.nan).at[0].set(1 / (3 + i))
        return RandomWalkState(jnp.full(1, -0.0), bits, bits.astype(jnp.bfloat16), key, jnp.int32(i))

    states = jax.vmap(state)(jnp.arange(2))
    checkpoint.save("program", Progress(states, 7, [{"cost": [float("nan"), 0.1 + 0.2]}]))
    found = checkpoint.load("program", jax.eval_shape(lambda: jax.vmap(state)(jnp.arange(2))))
    assert found is not None
    assert found.done == 7
    assert found.curve[0]["cost"][1] == 0.1 + 0.2
    assert jax.tree.map(lambda a: a.dtype, found.state) == jax.tree.map(lambda a: a.dtype, states)
    assert state_digests(found.state, 2) == state_digests(states, 2)


def turns_per_second():
    """The speed of the loop in a RandomWalk's step, by which a test chooses how long a step lasts."""
    loop = jax.jit(lambda n, z: jax.lax.fori_loop(0, n, lambda _, z: 3.99 * z * (1 - z), z))
    z = jnp.full((2, 8), 0.3)
    jax.block_until_ready(loop(1, z))
    began = time.perf_counter()
    jax.block_until_ready(loop(10**7, z))
    return 10**7 / (time.perf_counter() - began)


def test_a_run_killed_at_any_moment_ends_like_one_that_was_not(tmp_path):
    """A process gets SIGKILL three times at random moments; then the same command runs to its end."""
    walks = suite_file(tmp_path, env_steps=100 * 100, evals=100)
    # Each of the 100 chunks lasts 0.04 s. A kill takes about 10 of them, more if the machine was slow when timed.
    work = str(int(0.04 * turns_per_second()))
    slow = ("--set", f"faulty_method:RandomWalk.work={work}")
    cells = suite.load(str(walks)).cells(extra={"faulty_method:RandomWalk": {"work": work}})
    whole = bench_run.run(cells, tmp_path / "whole")
    assert {r.status for r in whole} == {"ok"}
    rng = random.Random()

    def checkpoints():
        return {p.read_bytes() for p in tmp_path.glob("out/checkpoints/*.checkpoint")}

    for _ in range(3):
        seen = checkpoints()
        process = start("run", walks, *slow, "--workers", 0, "--out", tmp_path / "out")
        while process.poll() is None and checkpoints() <= seen:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.communicate()
        assert process.returncode == -9
    assert len(checkpoints()) == 2  # one a seed
    done = bench("run", walks, *slow, "--workers", 0, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert not checkpoints()
    found = {r.seed: r for r in read_records(tmp_path / "out") if not isinstance(r, Exception)}
    for record in whole:
        other = found[record.seed]
        costs, others = ([p["cost"] for p in r.curve] for r in (record, other))
        assert costs == others
        assert record.provenance["final_state"] == other.provenance["final_state"]
        assert (record.cost, record.rescored) == (other.cost, other.rescored)


def test_a_damaged_record_is_kept_aside_and_computed_again(tmp_path):
    walks = suite_file(tmp_path)
    cells = suite.load(str(walks)).cells()
    whole = bench_run.run(cells, tmp_path / "out")
    (path,) = tmp_path.glob("out/records/*.jsonl")
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0][:-30]}\n\n{lines[1][30:]}\n")
    done = bench("run", walks, "--workers", 0, "--out", tmp_path / "out")
    assert done.returncode == 0
    assert path.with_name(f"{path.name}.unusable-1").read_text() == f"{lines[0][:-30]}\n{lines[1][30:]}\n"
    for number, record, found in zip((1, 3), whole, read_records(tmp_path / "out"), strict=True):
        assert f"{path.name}, line {number}: not a run record" in done.stderr
        assert found.curve[-1]["cost"] == record.curve[-1]["cost"]
        one, other = (dataclasses.replace(each, provenance={}, usage={}, curve=[]) for each in (record, found))
        assert one == other
