"""All that the command line says goes through one door, where names, settings and errors are data."""

import ast
from pathlib import Path

import pytest

import bench.cli
from bench.cli.terminal.lines import MAX_ERROR, echo, echo_command, echo_error

FOLDER = Path(bench.cli.__file__).parent
FILES = sorted(path for path in FOLDER.rglob("*.py"))
DOORS = ("lines.py", "tables.py", "progress.py")  # the last two draw with rich, of texts that `shown` returned
LOUD = ("print", "echo", "secho", "write", "writelines", "style", "prompt", "confirm", "print_json", "log")


def calls(path):
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]


def test_nothing_is_printed_but_through_the_door():
    """`os.write` remains, of fixed bytes in the handlers of signals."""
    named = [(path.name, ast.unparse(call.func)) for path in FILES if path.name not in DOORS for call in calls(path)]
    assert len(named) > 500
    loud = [(file, name) for file, name in named if name == "print" or name.partition(".")[2] in LOUD]
    assert set(loud) == {("__init__.py", "os.write"), ("interrupt.py", "os.write")}


@pytest.mark.parametrize("name", DOORS[1:])
def test_what_rich_draws_is_data(name):
    drawing = ("print", "add_row", "add_task")
    for call in calls(FOLDER / "terminal" / name):
        if isinstance(call.func, ast.Attribute) and call.func.attr in drawing:
            (text,) = [ast.unparse(argument) for argument in call.args]
            assert text in ("drawn", "*map(shown, row)", "'all cells'") or text.startswith("shown(")


BAD = "\x1b[2J\n::error::x\n##[error]y\u202e"


def test_lines_are_data(capsys):
    echo(BAD)
    assert capsys.readouterr().out == "\\x1b[2J\n: :error::x\n# #[error]y\\u202e\n"


def test_an_error_is_one_line_of_a_sane_length(capsys):
    echo_error(f"bench: {BAD}{'x' * 10**6}.")
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert shown.startswith("bench: \\x1b[2J\\n::error::x\\n")
    assert shown.endswith("x.\n")
    assert "characters left out" in shown
    assert len(shown) < MAX_ERROR + 100  # the note of what was left out, and escapes


def test_a_command_of_a_ci_service_stays_one(capsys):
    echo_command("::error title=x::y")
    assert capsys.readouterr().out == "::error title=x::y\n"
