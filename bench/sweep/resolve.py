"""Tasks and methods that cells name, each built and identified once."""

from bench import registry
from bench.errors import UsageError
from bench.method import AbstractMethod
from bench.noisy_task import noisy
from bench.reference.fingerprint import fingerprint
from bench.suite import Cell
from bench.sweep.failure import in_one_line
from bench.training.programs import BRANCHING_ERRORS
from tasks.base import AbstractTask


class Resolver:
    """The tasks and methods of many cells."""

    def __init__(self):
        self._tasks: dict[str, tuple[AbstractTask, str]] = {}
        self._methods: dict[str, AbstractMethod] = {}

    def task(self, cell: Cell) -> tuple[AbstractTask, str]:
        """Return the task of a cell and its fingerprint. Raises UsageError."""
        key = f"{cell.task} {cell.grid} {cell.noise} {cell.task_settings} {cell.extra_task_settings}"
        if key not in self._tasks:
            task = task_of_cell(cell)
            self._tasks[key] = task, _fingerprint(cell, task)
        return self._tasks[key]

    def method(self, cell: Cell) -> AbstractMethod:
        """Return the method of a cell. Raises UsageError."""
        key = f"{cell.method} {cell.method_settings} {cell.extra_method_settings}"
        if key not in self._methods:
            self._methods[key] = method_of_cell(cell)
        return self._methods[key]


def task_of_cell(cell: Cell) -> AbstractTask:
    """Return the task of a cell, with the cell's settings, on its grid and under its noise."""
    settings = {**cell.task_settings, **cell.extra_task_settings}
    task = registry.task(cell.task, settings)
    if cell.grid is not None:
        task = registry.task(cell.task, settings | cell.grid.settings(task.horizon, task.num_steps))
    return noisy(task, **vars(cell.noise))


def method_of_cell(cell: Cell) -> AbstractMethod:
    """Return the method of a cell, with the cell's settings."""
    return registry.method(cell.method, {**cell.method_settings, **cell.extra_method_settings})


def _fingerprint(cell: Cell, task: AbstractTask) -> str:
    try:
        return fingerprint(task)
    except BRANCHING_ERRORS as error:
        raise UsageError(
            f"task {cell.task_label}: {in_one_line(error)}. Write functions of t, x and u with jax.numpy: jnp.sin in "
            "place of np.sin or math.sin, jnp.asarray(table)[k] of an array of NumPy, jnp.where in place of if."
        ) from error
    except Exception as error:  # whatever the user's task raises when it is traced
        raise UsageError(f"task {cell.task_label}: {in_one_line(error)}") from error
