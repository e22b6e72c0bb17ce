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

from bench.budget import Usage
from bench.records.reference import Reference
from bench.simulate import AbstractPolicy
from tasks.base import AbstractTask

State = TypeVar("State", bound=eqx.Module)
FILLED_IN = "filled in"  # the mark of such a field


def filled_in(default: Any) -> Any:
    """A field of a method that the harness fills in: it is no setting, and no part of a record."""
    return eqx.field(default=default, static=True, metadata={FILLED_IN: True})


def is_setting(field: dataclasses.Field) -> bool:
    """Whether a field of a method or a task is a setting."""
    return not field.metadata.get(FILLED_IN, False)


@dataclass(frozen=True)
class Between:
    """The values that tuning may give a hyperparameter: numbers between two, whole ones if both ends are, on a
    logarithmic scale if `log`."""

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

    `init` and `step` are pure, so the harness compiles them once, scans over steps and vmaps over seeds.

    `search` is where `bench tune` looks, settings as `--set` names them: Between, or a tuple of choices. `paced` are
    the settings that count updates between environment steps, which `bench pace` scales to a given time.
    """

    search: ClassVar[Mapping[str, Between | tuple]] = {}
    paced: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def usage(self, task: AbstractTask) -> Usage:
        """What `init` and one `step` spend on `task`. Zero `env_steps`: nothing is learned."""

    @abc.abstractmethod
    def init(self, task: AbstractTask, key: Key[Array, ""]) -> State:
        """The state before training, warm-up episodes included."""

    @abc.abstractmethod
    def step(self, task: AbstractTask, state: State, key: Key[Array, ""]) -> State:
        """One round of training; `key` is fresh in every call."""

    @abc.abstractmethod
    def policy(self, task: AbstractTask, state: State) -> AbstractPolicy:
        """The policy that is judged, without exploration."""


class AbstractInformedMethod(AbstractMethod[State]):
    """A method that may know the references of its task, as a floor does."""

    @abc.abstractmethod
    def informed(self, references: tuple[Reference, ...]) -> "AbstractInformedMethod[State]":
        """The method to train on a task with these references, one for each start of the evaluation."""


def inform(method: AbstractMethod, references: tuple[Reference, ...]) -> AbstractMethod:
    """The method to train: `method` with all that it may know."""
    return method.informed(references) if isinstance(method, AbstractInformedMethod) else method


Model = Callable[[Float[Array, " n"], Float[Array, "steps m"]], Float[Array, "steps n"]]  # of (x0, us)


class Fit(NamedTuple):
    """A world model under training: a callable from a start and controls to the states after each control."""

    model: Any  # a Model
    optimiser: Any


class AbstractModelMethod(AbstractMethod[State]):
    """A method that fits a world model to its episodes and improves a memoryless policy through it.

    Its parts, so that the harness can fit models of several such methods to the episodes of one, and differentiate.
    """

    @abc.abstractmethod
    def parameters(self, state: State) -> Any:
        """The arrays that the policy gradient moves."""

    @abc.abstractmethod
    def with_parameters(self, state: State, parameters: Any) -> State:
        """The state with other parameters of its policy."""

    @abc.abstractmethod
    def collected(self, state: State) -> Any:
        """Its episodes: data for `begin_fit` and `fit` of any such method."""

    @abc.abstractmethod
    def newest(self, state: State, count: int) -> tuple[Float[Array, "count knots n"], Float[Array, "count steps m"]]:
        """States and controls of the last `count` episodes."""

    @abc.abstractmethod
    def begin_fit(self, task: AbstractTask, episodes: Any, key: Key[Array, ""]) -> Fit:
        """A model that has not been trained, with the scales of `episodes`."""

    @abc.abstractmethod
    def fit(self, fit: Fit, episodes: Any, key: Key[Array, ""]) -> Fit:
        """The model after the updates that one `step` gives it."""

    @property
    @abc.abstractmethod
    def updates_per_fit(self) -> int:
        """The optimiser's steps in one `fit`."""

    @abc.abstractmethod
    def warmed_up(self, episodes: int) -> "AbstractModelMethod[State]":
        """The same method with so many warm-up episodes."""

    @abc.abstractmethod
    def without_circuitous_paths(self) -> "AbstractModelMethod[State] | None":
        """The same method with the gradient through the predicted states that its model reads cut.

        None for a model that reads none, cannot cut them, or cuts them already. Weights fit either method.
        """
