"""Schedules that are shares of a run: rates that a cosine takes down, and a warm-up that leaves enough for training."""

import dataclasses
import math
from typing import Any, TypeVar

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from bench.budget import Budget
from bench.method import AbstractMethod, filled_in
from tasks.base import AbstractTask, Scalar

MAX_WARMUP_SHARE = 1 / 3  # of a run's episodes


Method = TypeVar("Method", bound=AbstractMethod)


def run_length() -> Any:
    """Declare a field for the number of steps in a run, which is infinite until `within` tells it."""
    return filled_in(math.inf, static=False)


def with_warmup(method: Method, warmup: int, task: AbstractTask, budget: Budget) -> Method:
    """Return the method with `warmup` episodes or, where that is less, MAX_WARMUP_SHARE of the run; at least one."""
    most = max(1, round(MAX_WARMUP_SHARE * budget.env_steps / task.num_steps))
    return dataclasses.replace(method, warmup=min(warmup, most))


def with_run_length(method: Method, warmup: int, task: AbstractTask, budget: Budget) -> Method:
    """Return the method with a warm-up that its run can pay, and the number of its `steps`, for its schedules."""
    method = with_warmup(method, warmup, task, budget)
    return dataclasses.replace(method, steps=float(budget.steps(method.usage(task))))


def cosine(rate: Scalar, updates: Scalar, end: Scalar) -> optax.Schedule:
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
