"""Schedules that are shares of a run: rates that a cosine takes down, and a warm-up that leaves enough for training."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from bench.budget import Budget, Usage
from bench.method import filled_in
from tasks.base import AbstractTask, Scalar

MAX_WARMUP_SHARE = 1 / 3  # of a run's episodes


@runtime_checkable
class WarmedUp(Protocol):
    """A method with warm-up episodes."""

    warmup: int

    def usage(self, task: AbstractTask) -> Usage: ...


Method = TypeVar("Method", bound=WarmedUp)


def run_length() -> Any:
    """Declare a field for the number of steps in a run, which is infinite until `within` tells it."""
    return filled_in(math.inf, static=False)


def with_short_warmup(method: Method, task: AbstractTask, budget: Budget) -> Method:
    """Return the method with at most MAX_WARMUP_SHARE of the run as its warm-up, but one episode at least."""
    most = max(1, round(MAX_WARMUP_SHARE * budget.env_steps / task.num_steps))
    return dataclasses.replace(method, warmup=min(method.warmup, most))


def with_run_length(method: Method, task: AbstractTask, budget: Budget) -> Method:
    """Return the method with a short warm-up and the number of its `steps`, for its schedules."""
    shorter = with_short_warmup(method, task, budget)
    return dataclasses.replace(shorter, steps=float(budget.steps(shorter.usage(task))))


def cosine(rate: Scalar, updates: Scalar, end: Scalar) -> Callable[[Int[Array, ""]], Float[Array, ""]]:
    """Return the rate after a count of updates: a cosine takes it to its share `end` over `updates`.

    `updates` may be a traced number, which Optax's own schedule refuses, and may be infinite.
    """

    def at(count):
        fall = (1 + jnp.cos(jnp.pi * jnp.minimum(count, updates) / updates)) / 2
        return rate * ((1 - end) * fall + end)

    return at


def fade(done: Int[Array, ""], steps: Scalar, end: Scalar) -> Float[Array, ""]:
    """Return the share that is left after so many steps of an exponential decay to `end` over `steps`."""
    return end ** (done / steps)
