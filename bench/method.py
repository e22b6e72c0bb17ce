"""The contract between a learning method and the harness.

A method declares what it computes and what it spends; the harness loops, counts, times, seeds and stores. Inside a
method there is no loop over its budget, no clock, no seed and no file.
"""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import equinox as eqx
from jaxtyping import Array, Key

from bench.simulate import AbstractPolicy
from tasks.base import AbstractTask

State = TypeVar("State", bound=eqx.Module)


@dataclass(frozen=True)
class Usage:
    """Environment steps (control intervals, whatever their substeps) that one `step`, and `init`, spend.

    `env_grad_steps` says how many of the same steps were also differentiated; it is not added to them. `updates` are
    the optimiser's steps in one `step`, for budgets that cap them.
    """

    env_steps: int
    env_grad_steps: int = 0
    init_env_steps: int = 0
    updates: int = 0


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
