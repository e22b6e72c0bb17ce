"""The contract between a learning method and the harness.

A method declares what it computes and what it spends; the harness loops, counts, times, seeds and stores. Inside a
method there is no loop over its budget, no clock, no seed and no file.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import equinox as eqx
from jaxtyping import Array, Float, Key

from bench.budget import Budget, Usage
from bench.errors import require
from bench.records.reference import Reference
from bench.simulate import AbstractPolicy, Trajectory
from tasks.base import AbstractTask

State = TypeVar("State", bound=eqx.Module)
FILLED_IN_KEY = "filled in"  # in the metadata of a field that the harness fills in


def filled_in(default: Any, static: bool = True) -> Any:
    """Declare a field of a method that the harness fills in: it is no setting, and no part of a record.

    A fractional number that is not `static` is data of the programs, which then are the same whatever it is.
    """
    return eqx.field(default=default, static=static, metadata={FILLED_IN_KEY: True})


def is_setting(field: dataclasses.Field) -> bool:
    """Return whether a field of a method or a task is a setting."""
    return not field.metadata.get(FILLED_IN_KEY, False)


@dataclass(frozen=True)
class Between:
    """A range of values for a hyperparameter in tuning.

    Values are whole numbers if both ends are, and on a logarithmic scale if `log`.
    """

    low: int | float
    high: int | float
    log: bool = False

    def __post_init__(self):
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"Between takes low < high, and low > 0 on a logarithmic scale, got {self}.")

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


class AbstractMethod(eqx.Module, Generic[State]):
    """A way to learn a policy. Fields are hyperparameters; a State is an `eqx.Module` of arrays only.

    `init` and `step` are pure, so the harness compiles them once, loops over steps and maps over seeds.

    `search` is the search space of `bench tune`: settings, named like in `--set`, with Between or a tuple of choices.
    `paced` names the settings that count updates between environment steps; `bench pace` scales them to a given time.
    """

    search: ClassVar[Mapping[str, Between | tuple]] = {}
    paced: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def usage(self, task: AbstractTask) -> Usage:
        """Declare what `init` and one `step` spend on `task`. A method with zero `env_steps` learns nothing."""

    @abc.abstractmethod
    def init(self, task: AbstractTask, key: Key[Array, ""]) -> State:
        """Return the state before training, after any warm-up episodes."""

    @abc.abstractmethod
    def step(self, task: AbstractTask, state: State, key: Key[Array, ""]) -> State:
        """Return the state after one round of training; `key` is fresh in every call."""

    @abc.abstractmethod
    def policy(self, task: AbstractTask, state: State) -> AbstractPolicy:
        """Return the policy to judge, without exploration."""


class Floor(NamedTuple):
    """What a method may know of its task: the best constant control for one start of the evaluation, and its cost.

    The best known controls are kept back: to play them would pass by the budget. `start` is None for the task's own.
    """

    start: list[float] | None
    control: list[float]
    cost: float


class AbstractInformedMethod(AbstractMethod[State]):
    """A method that may know the floors of its task."""

    @abc.abstractmethod
    def informed(self, floors: tuple[Floor, ...]) -> "AbstractInformedMethod[State]":
        """Return the method to train on a task with these floors, one for each start of the evaluation."""


def inform(method: AbstractMethod, references: tuple[Reference, ...]) -> AbstractMethod:
    """Return the method to train: `method` with the floors in the references, if it may know them."""
    floors = tuple(Floor(each.start, each.floor_control, each.floor) for each in references)
    return method.informed(floors) if isinstance(method, AbstractInformedMethod) else method


class AbstractBudgetedMethod(AbstractMethod[State]):
    """A method that fits its run: its schedules are shares of it, or a short run has a short warm-up."""

    @abc.abstractmethod
    def within(self, task: AbstractTask, budget: Budget) -> "AbstractBudgetedMethod[State]":
        """Return the method for a run of `budget` on `task`. Done twice, it changes nothing more."""


def within(method: AbstractMethod, task: AbstractTask, budget: Budget) -> AbstractMethod:
    """Return the method to train in a run of `budget` on `task`. The settings in its records are those of `method`.

    Raises ContractError if the method, told of them, returns something else.
    """
    if not isinstance(method, AbstractBudgetedMethod):
        return method
    told = method.within(task, budget)
    kind = type(told).__name__
    require(isinstance(told, AbstractBudgetedMethod), f"within() returns a {kind}, no AbstractBudgetedMethod")
    return told


Model = Callable[[Float[Array, " n"], Float[Array, "steps m"]], Float[Array, "steps n"]]  # (x0, us) -> xs


class Fit(NamedTuple):
    """A world model under training: a function from a start and controls to the states, and its optimiser's state."""

    model: Any  # a Model
    optimiser: Any


class AbstractModelMethod(AbstractMethod[State]):
    """A method that fits a world model to its episodes and improves a memoryless policy through it.

    It gives access to its parts, so that the harness can fit the models of several methods to the episodes of one, and
    differentiate through them.
    """

    @abc.abstractmethod
    def parameters(self, state: State) -> Any:
        """Return the arrays that the policy gradient moves."""

    @abc.abstractmethod
    def with_parameters(self, state: State, parameters: Any) -> State:
        """Return the state with other parameters of its policy."""

    @abc.abstractmethod
    def collected(self, state: State) -> Any:
        """Return its episodes: data for `begin_fit` and `fit` of any such method."""

    @abc.abstractmethod
    def newest(self, state: State, count: int) -> tuple[Float[Array, "count knots n"], Float[Array, "count steps m"]]:
        """Return states and controls of the last `count` episodes."""

    @abc.abstractmethod
    def begin_fit(self, task: AbstractTask, episodes: Any, key: Key[Array, ""]) -> Fit:
        """Return a model that has not been trained, with the scales of `episodes`."""

    @abc.abstractmethod
    def fit(self, fit: Fit, episodes: Any, key: Key[Array, ""]) -> Fit:
        """Return the model after the updates that one `step` gives it."""

    @abc.abstractmethod
    def for_fits(self, fits: int) -> "AbstractModelMethod[State]":
        """Return the same method for a model that gets this number of fits, over which its schedule extends."""

    @property
    @abc.abstractmethod
    def updates_per_fit(self) -> int:
        """The number of the optimiser's steps in one `fit`."""

    @abc.abstractmethod
    def warmed_up(self, episodes: int) -> "AbstractModelMethod[State]":
        """Return the same method with this number of warm-up episodes."""

    @abc.abstractmethod
    def offline(self, task: AbstractTask, episodes: Trajectory) -> "tuple[AbstractModelMethod[State], Any]":
        """Return the same method for a fixed data set, every episode of which its fits draw alike, and this data.

        `episodes` have a leading axis; the data is for `begin_fit` and `fit`.
        """

    @abc.abstractmethod
    def without_circuitous_paths(self) -> "AbstractModelMethod[State] | None":
        """Return the same method, with no gradient through the predicted states that its model reads.

        None for a model that reads none, cannot cut the gradient, or cuts it already. Weights fit either method.
        """
