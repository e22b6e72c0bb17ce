"""The contract between a learning method and the harness.

A method declares what it computes and what it spends; the harness loops, counts, times, seeds and stores. Inside a
method there is no loop over its budget, no clock, no seed and no file.
"""

import abc
from dataclasses import dataclass
from typing import Generic, TypeVar

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


class AbstractMethod(eqx.Module, Generic[State]):
    """A way to learn a policy. Fields are hyperparameters; a State is an `eqx.Module` of arrays only.

    `init` and `step` are pure, so the harness compiles them once, scans over steps and vmaps over seeds.
    """

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
