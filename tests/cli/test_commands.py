"""The table of commands: what it says of each, and what is loaded when."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import COMMANDS, app

ROOT = Path(__file__).parents[2]


def python(code, **environment):
    arguments = [sys.executable, "-c", code]
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_summary_is_the_first_line_of_the_commands_docstring(name):
    command = importlib.import_module(COMMANDS[name].module).command
    assert COMMANDS[name].summary == inspect.getdoc(command).splitlines()[0]


def test_every_file_is_a_command_of_its_name():
    files = {path.stem for path in (ROOT / "bench" / "cli").glob("*.py")} - {"__init__"}
    assert {name: command.module for name, command in COMMANDS.items()} == {n: f"bench.cli.{n}" for n in files}


def test_help_lists_every_command_in_order():
    done = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    lines = [line.strip("│ ").split(maxsplit=1) for line in done.output.partition("Commands")[2].splitlines()]
    assert [tuple(line) for line in lines if line[:1] and line[0] in COMMANDS] == [
        (name, command.summary) for name, command in COMMANDS.items()
    ]


def test_a_command_alone_shows_its_own_help():
    done = CliRunner().invoke(app, ["validate", "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert "Exit status: 0 all checks pass" in done.output


def test_a_misspelt_command_is_answered_with_the_nearest():
    done = CliRunner().invoke(app, ["valdate"], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert "Did you mean 'validate'?" in done.output


def test_imports_of_commands_compute_nothing():
    """Threads and devices are chosen afterwards: on a platform that does not exist, any computation is an error."""
    imports = "; ".join(f"import {command.module}" for command in COMMANDS.values())
    done = python(imports, JAX_PLATFORMS="nowhere")
    assert done.returncode == 0, done.stderr
    assert python(f"{imports}; import jax.numpy; jax.numpy.zeros(1)", JAX_PLATFORMS="nowhere").returncode == 1


WATCH = """
import os, sys
from bench.cli import app

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print("numpy", os.environ.get("OPENBLAS_NUM_THREADS"))

sys.meta_path.insert(0, Watch())
app(["report", "--help"])
"""


@pytest.mark.parametrize(("environment", "seen"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_the_environment_of_a_command_is_set_before_numpy_loads(environment, seen):
    done = python(WATCH, **environment)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("numpy")] == [f"numpy {seen}"]


def test_a_shell_completes_commands_and_their_options():
    code = "import sys; sys.argv = ['myriad-bench']; from bench.cli import main; main()"
    asked = {"_MYRIAD_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": "myriad-bench report --f", "COMP_CWORD": "2"}
    assert python(code, **asked).stdout.split() == ["--format"]
    assert "report" in python(code, **asked | {"COMP_WORDS": "myriad-bench re", "COMP_CWORD": "1"}).stdout.split()
