"""Tasks, methods and files of controls that are right Python, written in other ways than those that are shipped."""

import dataclasses
import functools
import json
import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from bench import registry
from bench.budget import Allowance, Usage
from bench.cli import app
from bench.contract.checks import run_checks
from bench.errors import UsageError
from bench.reference.controls import bounds_warning, control_sequence
from bench.reference.fingerprint import fingerprint
from bench.run import run
from bench.simulate import open_loop
from bench.suite import Cell
from bench.sweep.resolve import Resolver
from tasks.base import AbstractHybridTask, AbstractTask, ControlVar, StateVar


class Tank(AbstractTask):
    states = (StateVar("level", 1.0, 0.0, 4.0),)
    controls = (ControlVar("pump", 0.0, 2.0),)
    horizon: float = 2.0
    num_steps: int = 8
    solver: str = "tsit5"
    substeps: int = 1

    def vector_field(self, t, x, u):
        return u - x

    def running_cost(self, t, x, u):
        return x[0] ** 2 + u[0] ** 2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])


class WholeTank(Tank):
    states = (StateVar("level", 1, 0, 4),)
    controls = (ControlVar("pump", 0, 2),)
    horizon: float = 2


class NumpyTank(Tank):
    horizon: float = np.float32(2.0)
    num_steps: int = np.round(2.0 / 0.25)
    substeps: int = np.int64(1)


class FreeTank(Tank):
    def terminal_cost(self, x):
        return 0.0


class StartTank(Tank):
    begin: float = 1.0

    @property
    def states(self):
        return (StateVar("level", self.begin, 0.0, 4.0),)


class ListTank(Tank):
    def vector_field(self, t, x, u):
        return [u[0] - x[0]]


class WideTank(Tank):
    def running_cost(self, t, x, u):
        return x**2 + u**2


class PropertyTank(Tank):
    @property
    def num_steps(self):
        return 8


class InitTank(Tank):
    def __init__(self, horizon=2.0):
        self.horizon, self.num_steps, self.solver, self.substeps, self.starts = horizon, 8, "tsit5", 1, "fixed"


class HalfTank(Tank):
    num_steps: int = 8.5


class FractionTank(Tank):
    states = (StateVar("level", Fraction(1), 0.0, 4.0),)


class DecimalTank(Tank):
    horizon: float = Decimal(2)


class BareTank(Tank):
    states = (("level", 1.0, 0.0, 4.0),)


class ListedTank(Tank):
    """A field that has no hash."""

    weights: list = eqx.field(default_factory=lambda: [1.0, 1.0])


class UnknownTank(Tank):
    states = (StateVar("level", float("nan"), 0.0, 4.0),)


class UncontrolledTank(Tank):
    controls = ()


class EmptiedTank(AbstractHybridTask):
    """A tank that is emptied after each interval, by a whole number."""

    states, controls = Tank.states, Tank.controls
    horizon: float = 2.0
    num_steps: int = 8
    solver: str = "tsit5"
    substeps: int = 1

    vector_field = Tank.vector_field
    running_cost = Tank.running_cost
    terminal_cost = Tank.terminal_cost

    def jump(self, t, x, u):
        return jnp.array([0])


def tank(**settings):
    return Tank(**settings)


InstantTank, EternalTank = (functools.partial(Tank, horizon=horizon) for horizon in (1e-320, 1e39))
SHORT = functools.partial(Tank, horizon=1.0)
INSTANCE = Tank(num_steps=4)


def cost(task):
    us = jnp.ones((task.num_steps, 1), jnp.float32)
    return float(jax.jit(lambda us: open_loop(task, us, task.x0).cost)(us))


def named(attribute):
    return f"{__name__}:{attribute}"


@pytest.mark.parametrize("name", ["WholeTank", "NumpyTank", "FreeTank", "StartTank", "tank"])
def test_a_task_in_other_words_is_the_same_problem_to_the_bit(name):
    made = registry.task(named(name))
    assert cost(made) == cost(Tank())
    settings = registry.settings_of(made)
    assert json.loads(json.dumps(settings)) == settings
    assert {k: type(settings[k]) for k in ("horizon", "num_steps", "substeps")} == {
        "horizon": float,
        "num_steps": int,
        "substeps": int,
    }


@pytest.mark.parametrize("name", ["WholeTank", "FreeTank", "StartTank"])
def test_a_task_in_other_words_passes_the_contract(name):
    assert [wrong for _, wrong in run_checks(registry.method_or_task(named(name))) if wrong] == []


def test_numbers_of_numpy_are_no_other_task():
    assert fingerprint(registry.task(named("NumpyTank"))) == fingerprint(Tank())


def test_whole_numbers_make_floating_arrays():
    task = WholeTank()
    arrays = (task.x0, *task.bounds, task.sample_start(jax.random.key(0)))
    assert all(np.issubdtype(a.dtype, np.floating) for a in arrays)


def test_a_partial_and_an_instance_keep_their_values_and_take_settings():
    assert registry.task(named("SHORT")).horizon == 1.0
    made = registry.task(named("INSTANCE"), {"horizon": 3})
    assert (made.num_steps, made.horizon) == (4, 3.0)
    assert isinstance(registry.method_or_task(named("INSTANCE")), Tank)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ListTank", "vector_field returns a list"),
        ("WideTank", r"running_cost returns shape \(1,\), it must be \(\)"),
        ("PropertyTank", "num_steps must be a field with a default, got a property"),
        ("InitTank", "its own __init__ does not take .*num_steps"),
        ("HalfTank", "num_steps must be a whole number, got 8.5"),
        ("FractionTank", r"start of 'level' must be a number, got Fraction\(1, 1\)"),
        ("InstantTank", r"float32, which holds times .* horizon of 9.99989e-321 has steps of .* Take another unit"),
        ("EternalTank", r"float32, which holds times .* horizon of 1e\+39 has steps of .* Take another unit"),
        ("DecimalTank", r"horizon must be a positive number, got Decimal\('2'\)"),
        ("UnknownTank", "state 'level' needs a finite start, got nan"),
        ("UncontrolledTank", r"controls must hold one variable at least, got \(\)"),
        ("BareTank", r"write each state as StateVar and each control as ControlVar, got \('level', "),
        ("np", "is a module"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(name, said):
    with pytest.raises(registry.SettingError, match=said) as refused:
        registry.task(named(name))
    assert "\n" not in str(refused.value)


class SineTank(Tank):
    def running_cost(self, t, x, u):
        return np.sin(x[0]) ** 2


class BranchingTank(Tank):
    def running_cost(self, t, x, u):
        return x[0] if x[0] > 0 else -x[0]


@pytest.mark.parametrize("name", ["SineTank", "BranchingTank"])
def test_a_function_that_cannot_be_traced_is_refused_with_its_line_and_what_to_write(name):
    with pytest.raises(UsageError, match=rf"{name}: \w+: .* \({__file__}:\d+\)\. Write .* with jax\.numpy") as refused:
        Resolver().task(Cell("s", named(name), "constant", (0,), Allowance(env_steps=8)))
    assert "\n" not in str(refused.value)


def test_a_state_may_jump_to_a_whole_number():
    assert float(open_loop(task := EmptiedTank(), jnp.zeros((8, 1)), task.x0).xs[-1, 0]) == 0.0


def test_a_field_may_hold_a_list(tmp_path):
    (record,) = run([Cell("s", named("ListedTank"), "random", (0,), Allowance(env_steps=8))], tmp_path)
    assert record.status == "ok", record.error
    assert set(record.rescored) >= {"adaptive", "finer"}


def test_an_episode_of_one_step_runs():
    task = registry.task(named("Tank"), {"num_steps": 1})
    assert task.solver_steps == 8  # as fine as the default grid
    # Steps of the same size under the same control: the grids differ by float32 roundings of time and sums.
    assert cost(task) == pytest.approx(cost(Tank()), rel=1e-5)


USAGES = """
import dataclasses, json
import numpy as np
from bench.budget import BudgetError, Usage
print(json.dumps(dataclasses.asdict(Usage(np.prod(np.array([2, 10])), updates=3.0))))
for wrong in (1.5, "many", float("nan"), None):
    try:
        Usage(wrong)
    except BudgetError as error:
        print(error)
"""


def test_usage_takes_whole_numbers_of_any_kind_and_no_others():
    """In a process of its own, because tests check the types of arguments, and users' runs do not."""
    done = subprocess.run([sys.executable, "-c", USAGES], capture_output=True, text=True, check=True)
    first, *refused = done.stdout.splitlines()
    assert first == json.dumps(dataclasses.asdict(Usage(20, updates=3)))
    wrong = ("1.5", "'many'", "nan", "None")
    whole = "Usage: env_steps must be a whole number of at least 0 and at most 1000000000000000"
    assert refused == [f"{whole}, got {value}." for value in wrong]


def test_a_file_loads_like_a_module(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    source = f"from {__name__} import Tank\n\n\nclass Mine(Tank):\n    horizon: float = 5\n"
    file = tmp_path / "mine_of_this_test.py"
    file.write_text(source)
    assert registry.task(f"{file}:Mine").horizon == 5.0
    monkeypatch.chdir(tmp_path)
    assert isinstance(registry.method_or_task("./mine_of_this_test.py:Mine"), Tank)
    with pytest.raises(registry.SettingError, match="there is no file"):
        registry.task("./other.py:Mine")
    (tmp_path / "tasks.py").write_text(source)
    with pytest.raises(
        registry.SettingError, match=r"tasks\.py is shadowed by the module 'tasks', which is .*__init__"
    ):
        registry.task("./tasks.py:Mine")
    with pytest.raises(registry.SettingError, match=r"no attribute 'Mine' \(.*__init__\.py\)"):
        registry.task("tasks:Mine")


def test_a_file_named_like_the_tasks_is_refused_in_one_line(tmp_path):
    (tmp_path / "tasks.py").write_text("from tasks.base import AbstractTask\n")
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}
    command = [sys.executable, "-m", "bench", "validate", "./tasks.py:Mine"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | paths, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"{tmp_path / 'tasks.py'} is shadowed by the module 'tasks'" in line
    assert line.endswith("Give your file another name.")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\ny = 1 / 0\n", "ZeroDivisionError: division by zero (FILE:2)."),
        ("x = 1\n\ndef f(:\n", "SyntaxError: invalid syntax (FILE:3)."),
    ],
)
def test_an_error_of_a_file_that_is_loaded_is_shown_with_its_line(source, said, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    file = tmp_path / f"faulty_{len(source)}.py"
    file.write_text(source)
    with pytest.raises(registry.SettingError) as refused:
        registry.task(f"{file}:Mine")
    assert str(refused.value).endswith(said.replace("FILE", str(file)))
    assert "\n" not in str(refused.value)


def test_a_file_of_a_package_may_import_its_neighbours(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    folder = tmp_path / "my problems" / "plants_of_this_test"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "constants.py").write_text("HORIZON = 7.0\n")
    (folder / "mine.py").write_text(
        f"from {__name__} import Tank\nfrom .constants import HORIZON\n\n\n"
        "class Mine(Tank):\n    horizon: float = HORIZON\n"
    )
    assert registry.task(f"{folder / 'mine.py'}:Mine").horizon == 7.0


def test_settings_of_no_one_list_each_name_once():
    with pytest.raises(registry.SettingError, match=r"Known: a, b, m\.$"):
        registry.check_known({"zzz": {}}, ["a", "b", "a"], ["m", "m", "m"])


@pytest.mark.parametrize("before", ["", "\ufeff", "pump\n", '\ufeff"pump"\n'])
def test_a_file_of_controls_may_have_a_mark_and_a_header(before, tmp_path):
    file = tmp_path / "controls.csv"
    file.write_text(before + "0.5\n" * 8, encoding="utf-8")
    assert control_sequence(str(file), "tank", Tank(), None, 0).tolist() == [[0.5]] * 8


@pytest.mark.parametrize("text", ["", "pump\n", "0,5\n" * 8, "nan\n" + "0.5\n" * 8, "0.5\npump\n" + "0.5\n" * 7])
def test_another_file_of_controls_is_refused_in_one_line(text, tmp_path):
    file = tmp_path / "controls.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match="should hold 8 rows") as refused:
        control_sequence(str(file), "tank", Tank(), None, 0)
    assert "\n" not in str(refused.value)


def test_controls_outside_of_the_bounds_are_told_before_they_are_drawn(tmp_path):
    us = np.full((8, 1), 1.0)
    assert bounds_warning(us, Tank()) == ""
    us[3] = 50
    file = tmp_path / "controls.csv"
    file.write_text("".join(f"{u}\n" for u in us.flat))
    done = CliRunner().invoke(
        app, ["show", named("Tank"), "--control", str(file), "--out", str(tmp_path / "figure.png")]
    )
    assert done.exit_code == 0
    assert "1 of 8 controls are outside of their bounds" in done.stderr
    assert "first 50 for 'pump' in [0, 2] at step 3" in done.stderr
