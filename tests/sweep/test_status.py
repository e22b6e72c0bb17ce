"""What the files of a folder tell (plans, progress, estimates), and what the machine tells of itself."""

import dataclasses
import json

import jax
import pytest
from faulty_method import bench as new_process
from faulty_method import suite_file
from typer.testing import CliRunner

from bench import run as bench_run
from bench import suite
from bench.cli import app
from bench.errors import UsageError
from bench.machine import compilation, processor
from bench.machine.provenance import provenance, warnings
from bench.records.cell_file import read_records
from bench.sweep import status
from bench.sweep.forecast import Estimator, Spent, duration_in_words
from bench.sweep.job import prepare


def bench(*arguments):
    """The command line in this process."""
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, env={"COLUMNS": "200"})
    return done.exit_code, done.stdout


@pytest.fixture
def folder(tmp_path):
    """A folder of two planned cells, one of which is done."""
    loaded = suite.load(str(suite_file(tmp_path, 200, 2)))
    status.add_to_plan(
        tmp_path, [job.planned() for job in prepare(loaded.cells(tasks=["harvest", "bacteria"]), tmp_path)]
    )
    bench_run.run(loaded.cells(tasks=["harvest"]), tmp_path)
    return tmp_path


def test_status_tells_what_is_done_and_what_is_not(folder):
    exit_code, printed = bench("status", folder)
    assert exit_code == 0
    lines = {line.split()[0]: line for line in printed.splitlines() if line.strip()}
    assert lines["harvest"].split()[-2:] == ["2", "ok"]
    assert "2 waiting" in lines["bacteria"]
    assert "2 of 4 runs done, 0 cells running" in printed
    (path,) = folder.glob("records/*.jsonl")
    one, other = path.read_text().splitlines()
    path.write_text(f"{json.dumps(json.loads(one) | {'status': 'failed', 'cost': None})}\n{other[:-1]}")
    assert [s.description for s in status.cell_states(folder)] == ["1 failed, 1 unreadable", "2 waiting"]


def test_a_plan_grows_and_never_shrinks(folder):
    before = status.planned_cells(folder)
    more = dataclasses.replace(before[0], seeds=[0, 1, 2], records=["records/older-seed0.json"])
    status.add_to_plan(folder, [more])
    status.add_to_plan(folder, [before[0]])
    assert status.planned_cells(folder) == [more, before[1]]


def test_a_dry_run_prints_what_is_left_and_how_long_it_may_take(folder):
    walks = folder / "walks.toml"
    arguments = ("--task", "harvest", "--task", "bacteria", "--seeds", 3, "--workers", 0, "--out", folder)
    exit_code, printed = bench("run", walks, "--dry-run", *arguments)
    assert exit_code == 0
    harvest, bacteria, total = printed.splitlines()
    seconds = sum(r.usage["train_seconds"] + r.usage["compile_seconds"] for r in read_records(folder))
    name, (one, three, four) = "faulty_method:RandomWalk", (duration_in_words(seconds / 2 * n) for n in (1, 3, 4))
    assert harvest == f"harvest  {name}  1 seeds to run, 2 done  about {one}"
    assert bacteria == f"bacteria  {name}  3 seeds to run, 0 done  about {three}"
    assert total == f"4 runs to do, about {four}"


@pytest.mark.skipif(jax.default_backend() == "gpu", reason="this machine has one")
def test_a_gpu_that_is_not_there_is_said():
    with pytest.raises(UsageError, match="--device gpu, but JAX finds only"):
        bench("run", "smoke", "--device", "gpu", "--dry-run")


def test_an_estimate_is_from_the_most_similar_runs():
    seconds = {("a", "m"): [1.0, 3.0], ("b", "m"): [10.0], ("b", "n"): [100.0]}
    known = Estimator({key: [Spent(0.5, each - 0.5, 1000) for each in runs] for key, runs in seconds.items()})
    assert known.cell("a", "m", 5, 1000) == 10.0
    assert known.cell("c", "n", 2, 1000) == 200.0
    assert known.cell("a", "o", 1, 1000) == pytest.approx(28.5)
    assert known.cell("b", "n", 1, 4000) == 0.5 + 4 * 99.5  # training grows with the budget, compilation does not
    assert Estimator({("a", "constant"): [Spent(1.0, 0.5, 0)]}).cell("a", "constant", 2, 1000) == 3.0
    assert Estimator().cell("a", "m", 1, 1000) is None
    assert [duration_in_words(s) for s in (None, 3.2, 600, 9000)] == ["unknown", "3 s", "10 min", "2.5 h"]


def test_the_doctor_prints_what_records_carry_and_warns():
    exit_code, printed = bench("doctor", "--json")
    assert exit_code == 0
    found = json.loads(printed)
    assert found.keys() - {"compilation_cache", "warnings"} == provenance().keys()
    sound = {**provenance(), "dirty": False, "xla_flags": ""}  # whatever is set here
    sound["packages"] = {}
    quiet = {w for w in warnings(sound) if "busy" not in w}
    assert quiet == set()
    ill = {**sound, "dirty": True, "precision": "float64", "xla_flags": "--x", "packages": {"jax": "0.1"}}
    found = " ".join(warnings(ill))
    for sign in ("not committed", "float64", "XLA_FLAGS is set (--x)", f"jax is 0.1, tested is {jax.__version__}"):
        assert sign in found


def test_processors_of_one_name_and_other_instructions_share_no_compiled_programs(monkeypatch):
    known = {"model name": "AMD EPYC", "cpu family": "23", "model": "1", "flags": "avx2"}
    kinds = [known, {**known, "flags": "avx2 avx512f"}, {**known, "model": "49"}, {"model name": "AMD EPYC"}, {}]
    folders = []
    for info in kinds:
        monkeypatch.setattr(processor, "_cpuinfo", lambda info=info: info)
        folders.append(compilation.cache_folder())
    assert len(set(folders)) == len(kinds)
    monkeypatch.setattr(processor, "_cpuinfo", lambda: known)
    assert processor.cpu_model() == "AMD EPYC (family 23, model 1)"


def test_compiled_programs_are_kept_for_the_next_process(tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    arguments = ("run", suite_file(tmp_path, 200, 2), "--again", "--workers", 0, "--out", tmp_path / "out")
    kept = []
    for _ in range(2):
        done = new_process(*arguments)
        assert done.returncode == 0, done.stderr
        kept.append({path.name for path in compilation.cache_folder().glob("jit_advance-*-cache")})
    assert len(kept[0]) == 1
    assert kept[0] == kept[1]  # found, not compiled anew under another key
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    assert compilation.cache_folder_in_use() is None
