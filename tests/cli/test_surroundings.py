"""The command line in surroundings that are not ours: folders, terminals, pipes, homes and missing packages."""

import dataclasses
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bench import cli, registry
from bench.cli import app
from bench.cli.terminal import leaderboards
from bench.errors import UsageError
from bench.machine import compilation, threads
from bench.records.reference_file import FILE_NAME, PACKAGE_FILE, read_references, write_references
from bench.reference.fingerprint import fingerprint
from bench.report.data_files import plain_value
from bench.sweep.forecast import Forecast

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "results" / "published" / "smoke"
CALL = "import sys; from bench.cli import main; main()"


def bench(*arguments, start=("-m", "bench"), cwd=ROOT, **environment):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment}
    command = [sys.executable, *start, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


TASK = """
import jax.numpy as jnp
from tasks.base import AbstractTask, ControlVar, StateVar


class Tank(AbstractTask):
    states = (StateVar("level", 1.0, 0.0, 4.0),)
    controls = (ControlVar("pump", 0.0, 2.0),)
    horizon: float = 2.0
    num_steps: int = 4
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return u - x

    def running_cost(self, t, x, u):
        return x[0] ** 2 + u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])
"""


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"tasks.py": "def build(c): pass", "mine.py": TASK}, "mine:Tank"),
        ({"tasks/mine.py": TASK}, "tasks.mine:Tank"),
        ({"baselines/__init__.py": "", "tasks/__init__.py": "", "tasks/mine.py": TASK}, "tasks.mine:Tank"),
    ],
)
def test_a_users_folder_may_hold_our_names(files, name, tmp_path):
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    arguments = ("run", "smoke", "--task", name, "--method", "constant", "--dry-run", "--out", tmp_path / "out")
    done = bench(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{name}  constant  2 seeds to run" in done.stdout


def test_the_console_script_works_beside_a_file_named_bench(tmp_path):
    (tmp_path / "bench.py").write_text("raise SystemExit('not ours')")
    (tmp_path / "mine.py").write_text(TASK)
    script = tmp_path / "bin" / "myriad-bench"
    script.parent.mkdir()
    script.write_text(CALL)  # what pip writes for the entry point, whose folder comes first on the path
    assert 'myriad-bench = "bench.cli:main"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    arguments = ("run", "smoke", "--task", "mine:Tank", "--dry-run", "--out", tmp_path / "out")
    done = bench(*arguments, start=(script,), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_version_is_printed():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.output.split()[0]) == (0, "myriad-bench")


@pytest.mark.parametrize("number", ["auto", "0", "-1", "2.5", "many", "²"])
def test_threads_that_are_no_number_are_refused(number, monkeypatch):
    monkeypatch.setenv("NPROC", number)
    with pytest.raises(UsageError, match=f"NPROC must be a whole number of at least 1, got '{number}'"):
        threads.use_one()


def test_a_platform_that_jax_does_not_find_is_one_line():
    for platform in ("cuda", "nowhere"):
        done = bench("list", "tasks", JAX_PLATFORMS=platform)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert f"no device of JAX_PLATFORMS='{platform}'" in done.stderr


def test_the_last_line_of_an_error_is_the_users_own(monkeypatch, capsys):
    def app():
        raise ValueError("no such tariff\n--------\nFor simplicity, JAX has removed its internal frames")

    monkeypatch.setattr(cli, "app", app)
    monkeypatch.setattr(cli.signal, "signal", lambda *_: None)  # pytest's own handler stays
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    line = inspect.getsourcelines(app)[1] + 1
    assert capsys.readouterr().err.splitlines()[-1] == f"ValueError: no such tariff ({__file__}:{line})"


def test_a_terminal_that_knows_ascii_alone_gets_no_other_character():
    done = bench("list", "tasks", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_a_reader_that_has_read_enough_hears_no_complaint():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "bench", "list", "suites", "--json"]
    done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_without_a_home_that_can_be_written_no_programs_are_kept(variable, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(variable, "/proc/nothing")  # where not even root can write
    monkeypatch.setattr(compilation.jax.config, "update", lambda name, value: changed.update({name: value}))
    changed = {}
    problem = compilation.enable_cache()
    assert "compiled programs are not kept" in problem
    assert "\n" not in problem
    assert changed["jax_compilation_cache_dir"] is None
    assert compilation.cache_folder_in_use() is None


def test_a_system_without_file_locks_is_told_so():
    start = ("-c", f"import sys; sys.modules['fcntl'] = None; {CALL}")
    done = bench("status", ".", start=start)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "Windows Subsystem for Linux" in done.stderr


@pytest.mark.parametrize("arguments", [("show", "harvest"), ("plot", SMOKE)])
def test_figures_without_matplotlib_name_the_extra(arguments, tmp_path):
    block = "import sys; sys.modules.update({'matplotlib': None, 'matplotlib.lines': None})"
    done = bench(*arguments, "--out", tmp_path / "x.png", start=("-c", f"{block}; {CALL}"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("pip install 'myriad-bench[plot]'.")
    assert "Traceback" not in done.stderr


def test_leaderboards_that_cannot_be_written_are_printed(monkeypatch):
    def refuse(path, content):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(leaderboards, "write_atomically", refuse)
    done = CliRunner().invoke(app, ["report", str(SMOKE)])
    assert done.exit_code == 1
    assert "smoke: all tasks" in done.output
    assert done.stderr.splitlines()[-1] == f"bench: cannot write the leaderboards into {SMOKE}: Read-only file system."


def test_leaderboards_are_written_before_they_are_printed(monkeypatch):
    order = []
    monkeypatch.setattr(leaderboards, "write_atomically", lambda path, content: order.append(path.name))
    monkeypatch.setattr(leaderboards, "print_leaderboard", lambda leaderboard: order.append("printed"))
    assert leaderboards.write_leaderboards(SMOKE, ["csv"]) == ""
    assert order == ["leaderboard.csv", "aggregate.csv", "printed"]


def test_numbers_in_json_have_every_digit():
    values = [0.1 + 0.2, 1 / 3 * 1e-20, np.float64(2 / 3), np.int64(3), float("nan"), pd.NA, None, "text", True]
    written = json.loads(json.dumps([plain_value(value) for value in values]))
    assert written == [0.1 + 0.2, 1 / 3 * 1e-20, 2 / 3, 3, None, None, None, "text", True]


def test_a_dry_run_of_a_new_folder_estimates_from_published_records(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    seen = []
    left = Forecast.left
    monkeypatch.setattr(Forecast, "left", lambda self: seen.append(left(self)) or seen[-1])
    done = CliRunner().invoke(app, ["run", "smoke", "--dry-run", "--out", str(tmp_path)])
    assert done.exit_code == 0
    assert seen[0] > 0


def test_references_that_a_run_stored_are_found_in_the_newest_folder_of_results(tmp_path, monkeypatch):
    harvest = next(
        r
        for r in read_references(PACKAGE_FILE).values()
        if r.task == "harvest" and r.num_steps == 100 and r.is_complete
    )
    own = dataclasses.replace(harvest, fingerprint=fingerprint(registry.task("harvest", {"horizon": 7})))
    monkeypatch.chdir(tmp_path)
    command = ["show", "harvest", "--set", "harvest.horizon=7"]
    done = CliRunner().invoke(app, command)
    assert "`--results DIR` names the folder" in str(done.exception)
    for age, (name, best) in enumerate([("old", 1.0), ("new", own.best), ("other", 2.0)]):
        key = dataclasses.replace(own, best=best, **({"fingerprint": "another's"} if name == "other" else {}))
        write_references(tmp_path / "results" / name / FILE_NAME, {key.key: key})
        os.utime(tmp_path / "results" / name / FILE_NAME, (age, age))
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert f"The reference is that of {Path('results', 'new')}" in done.output
    done = CliRunner().invoke(app, ["reference", "--task", "tasks.harvest:Harvest"])
    assert "no folder in results/ has one: give --out DIR" in str(done.exception)
    harvests = {harvest.key: harvest}
    write_references(tmp_path / "results" / "mine" / FILE_NAME, harvests)
    done = CliRunner().invoke(app, ["reference", "--task", "tasks.harvest:Harvest"])
    assert done.exit_code == 0, done.output
    assert f"has its references in {Path('results', 'mine')}" in done.output
    assert "stored" in done.output


def test_a_references_of_ones_own_task_stay_out_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["reference", "--task", "tasks.harvest:Harvest"])
    assert isinstance(done.exception, UsageError)
    assert "give --out DIR" in str(done.exception)
    # A folder that has the reference needs no computation, and is read in place of the package.
    harvest = next(r for r in read_references(PACKAGE_FILE).values() if r.task == "harvest" and r.is_complete)
    write_references(tmp_path / FILE_NAME, {r.key: r for r in read_references(PACKAGE_FILE).values()})
    before = PACKAGE_FILE.read_bytes()
    done = CliRunner().invoke(app, ["reference", "--task", "tasks.harvest:Harvest", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "stored" in done.output
    assert harvest.key in read_references(tmp_path / FILE_NAME)
    assert PACKAGE_FILE.read_bytes() == before


def test_a_quiet_check_prints_the_outcome_alone():
    arguments = ["check", "--baseline", str(SMOKE), "--candidate", str(SMOKE), "--quiet", "--no-github"]
    done = CliRunner().invoke(app, arguments)
    assert len(done.stdout.splitlines()) == 1
    assert done.stdout.startswith("no regression")
