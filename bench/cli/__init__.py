"""The command line: one file per sub-command, and the only code that prints or exits.

A command's module is imported when the command is invoked, so that `--help` needs neither JAX nor NumPy.
"""

import importlib
import importlib.metadata
import importlib.util
import io
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from bench.cli.terminal.lines import echo, echo_error
from bench.errors import UsageError
from bench.sweep.failure import describe

# OpenBLAS reads this when NumPy is imported. These commands multiply small matrices, for which several threads are up
# to ten times slower than one.
ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
ROOT = Path(__file__).resolve().parents[2]  # of our packages: a checkout, or site-packages


class Command(NamedTuple):
    """A sub-command.

    module: the module with its function `command`
    summary: one line for the list of commands, the first line of the function's docstring
    environment: variables that are set, unless they are set already, before the module is imported
    """

    module: str
    summary: str
    environment: Mapping[str, str] = MappingProxyType({})


COMMANDS = {
    "run": Command(
        "bench.cli.run",
        "Run a suite: every method on every task under one budget, then print and write the leaderboards.",
    ),
    "list": Command(
        "bench.cli.list",
        "List tasks with their references, methods with their settings, or suites.",
    ),
    "report": Command(
        "bench.cli.report",
        "Rebuild the leaderboards of a folder from its records, and print them.",
        ONE_BLAS_THREAD,
    ),
    "export": Command(
        "bench.cli.export",
        "Write tidy tables of a folder's records, as CSV and Parquet: a line for each run, and for each evaluation.",
        ONE_BLAS_THREAD,
    ),
    "plot": Command(
        "bench.cli.plot",
        "Draw learning curves, performance profiles, regret targets, scores over grids, or trajectories, as one "
        "figure.",
    ),
    "check": Command(
        "bench.cli.check",
        "Compare two sets of records: is a method same, better or worse, or are seeds too few to tell?",
    ),
    "tune": Command(
        "bench.cli.tune",
        "Try settings of a method within its search space, on the tuning tasks of a suite.",
    ),
    "pace": Command(
        "bench.cli.pace",
        "Scale each method's updates between environment steps until its runs take the same CPU seconds.",
    ),
    "show": Command(
        "bench.cli.show",
        "Draw states with their ranges and targets, controls, and the accumulated cost of one episode against time.",
    ),
    "status": Command(
        "bench.cli.status",
        "Show how far every cell of a folder is; works on a sweep that runs, was interrupted, or is over.",
    ),
    "gradients": Command(
        "bench.cli.gradients",
        "Measure policy gradients through models fitted to the same episodes, against the simulator's, over horizons.",
    ),
    "landscape": Command(
        "bench.cli.landscape",
        "Draw the return and its gradient along one or two directions, with where gradient ascent on each model ends.",
    ),
    "claims": Command(
        "bench.cli.claims",
        "Test every claim of the paper by its experiment, and say by a rule fixed beforehand whether it holds.",
    ),
    "validate": Command(
        "bench.cli.validate",
        "Run the contract of a method or a task, and print what passes and what fails.",
    ),
    "doctor": Command(
        "bench.cli.doctor",
        "Print the provenance that every record of this machine carries, and warn of what makes results incomparable.",
    ),
    "reference": Command(
        "bench.cli.reference",
        "Compute reference optima by two routes into tasks/references.toml, for every grid that a shipped suite uses.",
        ONE_BLAS_THREAD,
    ),
    "gallery": Command(
        "bench.cli.gallery",
        "Write the table of all tasks into its page, and draw the thumbnails that it shows.",
    ),
}


class LazyGroup(TyperGroup):
    """A group that lists its commands without importing them, and imports the one that is invoked."""

    def get_command(self, ctx, cmd_name):
        """Import the command of that name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        command = COMMANDS[cmd_name]
        for variable, value in command.environment.items():
            os.environ.setdefault(variable, value)
        alone = typer.Typer(add_completion=False)
        alone.command(cmd_name)(importlib.import_module(command.module).command)
        return get_command(alone)

    def format_help(self, ctx, formatter):
        """Write the help of a plain group with the same commands, which needs their names and summaries only."""
        plain = TyperGroup(name=self.name, help=self.help, params=self.params, commands=dict(self.commands))
        plain.format_help(ctx, formatter)


app = typer.Typer(
    cls=LazyGroup,
    help="Myriad optimal-control benchmark: train methods under one measured budget, and read the tables.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> bool:
    if wanted:
        echo(f"myriad-bench {importlib.metadata.version('myriad-bench')}")
        raise typer.Exit
    return wanted


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


for _name, _command in COMMANDS.items():
    app.command(_name, help=_command.summary)(lambda: None)  # an entry of the list; LazyGroup imports what it runs


def _exit_at_once(number: int, frame: object) -> None:
    """End at Ctrl-C where no command handles it, e.g. during imports: JAX's callbacks swallow a KeyboardInterrupt."""
    os.write(2, b"bench: interrupted.\n")
    os._exit(130)


def main() -> None:
    """Run the command line. A mistake that the user can fix is printed as one line, with exit status 2."""
    _find_packages()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII alone shows ? for other characters
    signal.signal(signal.SIGINT, _exit_at_once)
    try:
        app()
    except UsageError as error:
        echo_error(f"bench: {error}")
        sys.exit(2)
    except Exception as error:  # mostly the user's own, raised by a task: their line is shown last
        problem = _device_problem() if isinstance(error, RuntimeError | AssertionError) else ""
        if problem:
            echo_error(f"bench: {problem}")
            sys.exit(2)
        echo(describe(error).rstrip(), err=True)
        sys.exit(1)


def _device_problem() -> str:
    """Why JAX has no device, in one line; "" where it has one, or was not asked."""
    try:
        if "jax" in sys.modules:
            sys.modules["jax"].devices()
        return ""
    except (RuntimeError, AssertionError) as error:  # no such platform; a platform without a device
        return (
            f"JAX finds no device of JAX_PLATFORMS='{os.environ.get('JAX_PLATFORMS', '')}'. Unset it, or give another, "
            f"such as cpu. {' '.join(str(error).split())}"
        )


def _find_packages() -> None:
    """Let `tasks` and `baselines` be ours whatever the current folder holds, and find the user's own modules there.

    Worker processes inherit the path.
    """
    if any(_origin(name) != ROOT / name / "__init__.py" for name in ("tasks", "baselines")):
        sys.path.insert(0, str(ROOT))
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def _origin(package: str) -> Path | None:
    found = importlib.util.find_spec(package)
    return Path(found.origin).resolve() if found and found.origin else None
