"""The command line as users meet it: a real process, its output and its exit status."""

import csv
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bench import suite
from bench.cli.report import Format
from bench.report import FORMATS

ROOT = Path(__file__).parents[2]


def bench(*arguments, cwd=ROOT, **environment):
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    env = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


TINY = """
description = "two cheap methods"
tasks = ["cancer_treatment"]
methods = ["simulator_gradient", "constant"]
seeds = 2

[budget]
env_steps = 60
evals = 2

[settings.cancer_treatment]
num_steps = 10
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a suite that was run once."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "tiny.toml").write_text(TINY)
    done = bench("run", folder / "tiny.toml", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_run_leaves_records_and_leaderboards(finished):
    folder, done = finished
    out = folder / "out"
    assert "[1/2] cancer_treatment  simulator_gradient  2 seeds" in done.stdout
    assert str(out / "leaderboard.csv") in done.stdout
    records = [json.loads(line) for p in (out / "records").iterdir() for line in p.read_text().splitlines()]
    assert len(records) == 4
    learner = next(r for r in records if r["method"] == "simulator_gradient")
    assert [point["env_steps"] for point in learner["curve"]] == [20, 40, 60]
    assert [point["updates"] for point in learner["curve"]] == [0, 2, 4]
    # By smaller steps, and in float64.
    assert learner["rescored"]["adaptive"] == pytest.approx(learner["curve"][-1]["cost"], rel=1e-3)
    cells = {p.stem for p in (out / "records").iterdir()}
    assert {p.name for p in (out / "trajectories").iterdir()} == {f"{c}-seed{i}.json" for c in cells for i in (0, 1)}
    assert "Trajectories of the median seed" in (out / "leaderboard.html").read_text()
    assert learner["usage"]["env_steps"] == 60
    assert learner["settings"]["budget"] == {"env_steps": 60, "evals": 2}
    assert {"commit", "packages", "device", "started", "ended"} <= learner["provenance"].keys()
    rows = list(csv.DictReader((out / "leaderboard.csv").read_text().splitlines()))
    assert {row["method"] for row in rows} == {"simulator_gradient", "constant"}
    constant = next(row for row in rows if row["method"] == "constant")
    assert float(constant["score"]) == pytest.approx(0, abs=1e-4)  # float32 against a reference made on first use
    assert (out / "references.toml").exists()


def test_finished_cells_are_skipped_and_again_runs_them(finished):
    folder, _ = finished
    before = {p: p.stat().st_mtime_ns for p in (folder / "out" / "records").iterdir()}
    arguments = ("run", folder / "tiny.toml", "--out", folder / "out", "--method", "simulator_gradient")
    dry = bench(*arguments, "--seeds", 3, "--dry-run")
    assert "1 seeds to run, 2 done" in dry.stdout
    done = bench(*arguments)
    assert done.returncode == 0
    assert "[1/" not in done.stdout
    assert {p: p.stat().st_mtime_ns for p in before} == before

    def costs():
        return {p: [json.loads(line)["cost"] for line in p.read_text().splitlines()] for p in before}

    found = costs()
    assert bench(*arguments, "--again", "--quiet").returncode == 0
    changed = [p for p in before if p.stat().st_mtime_ns != before[p]]
    assert len(changed) == 1  # the file of the method, with both seeds
    assert costs() == found  # same seeds, same numbers


def test_a_setting_of_one_run_gets_a_row_of_its_own(finished):
    folder, _ = finished
    out = folder / "copy"
    shutil.copytree(folder / "out", out)
    name = "simulator_gradient.learning_rate"
    done = bench("run", folder / "tiny.toml", "--out", out, "--set", f"{name}=1e-9", "--seeds", 1)
    assert done.returncode == 0, done.stderr
    methods = [row["method"] for row in csv.DictReader((out / "leaderboard.csv").read_text().splitlines())]
    assert sorted(methods) == ["constant", "simulator_gradient", "simulator_gradient[learning_rate=1e-9]"]


def test_report_rebuilds_every_view_from_the_records(finished):
    folder, _ = finished
    views = {name: (folder / "out" / name) for files in FORMATS.values() for name in files}
    bench("report", folder / "out")
    before = {name: path.read_text() for name, path in views.items()}
    for path in views.values():
        path.unlink()
    done = bench("report", folder / "out", *(word for name in FORMATS for word in ("--format", name)))
    assert done.returncode == 0
    assert {name: path.read_text() for name, path in views.items()} == before
    assert "simulator_gradient" in done.stdout


BROKEN = '''
import equinox as eqx
import jax.numpy as jnp
from bench.method import AbstractMethod, Usage
from baselines.constant import ConstantPolicy, ConstantState


class Broken(AbstractMethod[ConstantState]):
    """Raises, or returns nan."""

    raises: bool = True

    def usage(self, task):
        return Usage(task.num_steps)

    def init(self, task, key):
        return ConstantState(task.x0[None], jnp.zeros((1, len(task.controls))))

    def step(self, task, state, key):
        if self.raises:
            raise RuntimeError("no luck")
        return ConstantState(state.x0, state.us * jnp.nan)

    def policy(self, task, state):
        return ConstantPolicy(state)
'''


def test_a_failure_is_a_record_the_sweep_goes_on_and_the_status_says_so(finished):
    folder, _ = finished
    (folder / "broken.py").write_text(BROKEN)
    methods = ("--method", "broken:Broken", "--method", "constant")
    arguments = ("run", folder / "tiny.toml", "--out", folder / "failed", *methods, "--seeds", 1, "--workers", 0)
    done = bench(*arguments, cwd=folder, PYTHONPATH=str(ROOT))
    assert done.returncode == 1
    assert "1 runs failed" in done.stderr
    rows = {
        row["method"]: row for row in csv.DictReader((folder / "failed" / "leaderboard.csv").read_text().splitlines())
    }
    assert rows["broken:Broken"]["failed"] == "1"
    assert rows["constant"]["failed"] == "0"
    record = next(p for p in (folder / "failed" / "records").iterdir() if "broken" in p.name)
    assert "no luck" in json.loads(record.read_text())["error"]
    again = bench(*arguments, "--set", "broken:Broken.raises=false", cwd=folder, PYTHONPATH=str(ROOT))
    assert again.returncode == 0  # diverged is a result, not a failure of the program
    assert "1 diverged" in again.stdout


WRONG = {
    "a task": (["run", "smoke", "--task", "cancer_treatmant"], "Did you mean 'cancer_treatment'?"),
    "a method": (["run", "smoke", "--method", "awm_gruu"], "Did you mean 'awm_gru'?"),
    "a suite": (["run", "smok"], "Did you mean 'smoke'?"),
    "a setting": (["run", "smoke", "--set", "sac.bach=3"], "Did you mean 'batch'?"),
    "an inner setting": (["run", "smoke", "--set", "awm_gru.model.wdth=3"], "Did you mean 'model.width'?"),
    "a type": (["run", "smoke", "--set", "sac.batch=many"], "sac.batch must be a whole number, got 'many'"),
    "a choice": (["run", "smoke", "--set", "awm_gru.states=dreamt"], "must be one of 'real', 'imagined'"),
    "a value": (
        ["run", "smoke", "--set", "cancer_treatment.num_steps=0"],
        "num_steps must be at least 1 and at most 1000000, got 0",
    ),
    "a name with settings": (["run", "smoke", "--set", "sca.batch=3"], "Did you mean 'sac'?"),
    "the form of a setting": (["run", "smoke", "--set", "batch"], "--set takes name.field=value"),
    "a solver": (["run", "smoke", "--set", "cancer_treatment.solver=tsit"], "Did you mean 'tsit5'?"),
    "a method without settings": (
        ["run", "smoke", "--set", "constant.a=3"],
        "unknown setting of 'constant': 'a'. There",
    ),
    "a module": (["run", "smoke", "--method", "nowhere:Method"], "cannot be loaded"),
    "a folder of records": (["report", "nowhere"], "no folder nowhere"),
    "an output folder": (["run", "smoke", "--out", "/proc/nothing"], "cannot write to the output folder"),
    "two places to run": (["run", "smoke", "--workers", "2", "--cluster", "tcp://x:1"], "give one of them"),
    "a class": (["run", "smoke", "--method", "tasks.harvest:Harvest"], "which is no AbstractMethod"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_usage_is_one_line_with_the_fix(what):
    arguments, message = WRONG[what]
    done = bench(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_budget_too_small_names_the_cell_and_the_least(tmp_path):
    (tmp_path / "small.toml").write_text(TINY.replace("env_steps = 60", "env_steps = 19"))
    done = bench("run", tmp_path / "small.toml", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "simulator_gradient on cancer_treatment" in done.stderr
    assert "Give at least 20" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds = 2", "seed = 2"), "Did you mean 'seeds'?"),
        (("evals = 2", "evils = 2"), "Did you mean 'evals'?"),
        (("env_steps = 60", "env_steps = '60'"), "env_steps must be a whole number"),
        (("seeds = 2", "seeds = 0"), "seeds must be a whole number"),
        (("[budget]", "[budget"), "tiny.toml"),
        (('tasks = ["cancer_treatment"]', ""), "the suite needs 'tasks'"),
    ],
)
def test_a_malformed_suite_is_one_line_with_its_file(tmp_path, change, message):
    (tmp_path / "tiny.toml").write_text(TINY.replace(*change))
    done = bench("run", tmp_path / "tiny.toml", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr
    assert "tiny.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_lists_are_complete():
    tasks = json.loads(bench("list", "tasks", "--json").stdout)
    fields = ["name", "states", "controls", "horizon", "num_steps", "floor", "best", "grade", "headroom"]
    assert list(tasks[0]) == [*fields, "integration_error", "lyapunov"]
    assert all(entry["best"] <= entry["floor"] for entry in tasks)
    suites = {entry["name"]: entry for entry in json.loads(bench("list", "suites", "--json").stdout)}
    assert set(suites) == set(suite.names())
    methods = {entry["name"]: entry for entry in json.loads(bench("list", "methods", "--json").stdout)}
    assert methods["awm_gru"]["settings"]["model.cell"] == "baselines.recurrent:GRUCell"
    for entry in suites.values():
        assert {label.partition("[")[0] for label in entry["methods"]} <= set(methods)
        assert set(entry["tasks"]) <= {task["name"] for task in tasks}


def test_the_formats_offered_are_those_that_exist():
    assert {f.value for f in Format} == set(FORMATS)


WITHOUT_JAX = """
import json, sys
from bench.cli import app
for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments)
    except SystemExit as end:
        assert not end.code, arguments
    assert "jax" not in sys.modules, arguments
    assert arguments != ["--help"] or not {"numpy", "pandas"} & sys.modules.keys()
"""


def test_help_views_and_lists_of_suites_start_without_jax(finished):
    folder, _ = finished
    out = str(folder / "out")
    commands = [
        ["--help"],  # first, as the others load NumPy
        ["list", "suites"],
        ["status", out],
        ["report", out],
        ["plot", out, "--out", str(folder / "curves.png")],
        ["check", "--baseline", out, "--candidate", out],
        ["check", "--help"],
    ]
    arguments = [sys.executable, "-c", WITHOUT_JAX, json.dumps(commands)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_device_is_chosen_for_this_process_and_for_workers(finished):
    """JAX is imported by then, and finds no platform of the name that the environment asks for."""
    folder, _ = finished
    out = folder / "device"
    shutil.copytree(folder / "out", out)
    arguments = ("run", folder / "tiny.toml", "--out", out, "--method", "constant", "--again", "--quiet")
    assert "nowhere" in bench(*arguments, "--dry-run", JAX_PLATFORMS="nowhere").stderr
    before = {p: p.stat().st_mtime_ns for p in (out / "records").iterdir() if "constant" in p.name}
    for workers in (0, 2):
        done = bench(*arguments, "--device", "cpu", "--workers", workers, JAX_PLATFORMS="nowhere")
        assert done.returncode == 0, done.stderr
        after = {p: p.stat().st_mtime_ns for p in before}
        assert all(after[p] > before[p] for p in before)
        before = after
    assert [json.loads(line)["status"] for p in before for line in p.read_text().splitlines()] == ["ok", "ok"]


def test_a_wheel_carries_suites_and_references_and_runs(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    assert subprocess.run(build, capture_output=True, check=False).returncode == 0
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "site", "zip")
    done = bench("list", "tasks", "--json", cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert all(entry["best"] is not None for entry in json.loads(done.stdout)), done.stderr
    done = bench("run", "smoke", "--dry-run", cwd=tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 17  # 16 cells and their sum
    assert not list((tmp_path / "site").glob("tests*"))
    kinds = {".toml", ".j2", ".css", ".js"}
    ours, theirs = (
        {p.relative_to(at) for p in (at / "bench").rglob("*") if p.suffix in kinds} for at in (ROOT, tmp_path / "site")
    )
    assert len(ours) > 10
    assert ours == theirs


def test_constraints_pin_exact_versions_and_name_no_index():
    lines = (ROOT / "constraints.txt").read_text().split()
    assert lines
    assert all("==" in line and "://" not in line and "@" not in line for line in lines)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = {line.partition("==")[0] for line in lines}
    assert {name.partition(">=")[0] for name in wanted} <= pinned


def test_bits_do_not_depend_on_where_a_cell_runs(tmp_path):
    """Matrix products are shared out among threads: in this process and in a worker's there must be as many."""
    (tmp_path / "short.toml").write_text(TINY.replace("= 60", "= 1600").replace("num_steps = 10", "num_steps = 100"))
    runs = [("--out", tmp_path / "here", "--workers", 0), ("--out", tmp_path / "there", "--workers", 2)]
    for options in runs:
        done = bench("run", tmp_path / "short.toml", "--method", "one_step_model", *options)
        assert done.returncode == 0, done.stderr
    exact = bench("check", "--baseline", tmp_path / "here", "--candidate", tmp_path / "there", "--exact")
    assert exact.returncode == 0, exact.stdout
