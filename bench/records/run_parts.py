"""The stored parts of a run record: their entries, types and ranges. No JAX."""

from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from bench.records.decode import Count, Seconds

Horizon = Annotated[float, Meta(gt=0)]


class Point(TypedDict):
    """One evaluation of a learning curve; cost and end error are null where they are not finite."""

    env_steps: Count
    updates: NotRequired[Count]
    train_seconds: Seconds
    cpu_seconds: NotRequired[Seconds]
    cost: float | None
    end_error: float | None
    violation: NotRequired[float | None]


class BlockPoint(TypedDict):
    """One evaluation of a block of seeds, as checkpoints hold it; costs may be NaN."""

    share: Annotated[float, Meta(ge=0, le=1)]
    env_steps: Count
    env_grad_steps: Count
    updates: Count
    train_seconds: Seconds
    cpu_seconds: NotRequired[Seconds | None]
    compile_seconds: Seconds
    cost: list[float]
    end_error: list[float]
    violation: list[float]
    state: list[str]
    final: NotRequired[list[dict[str, Any]]]


class Usage(TypedDict):
    """The steps, updates and seconds that a run spent."""

    env_steps: Count
    env_grad_steps: Count
    train_seconds: Seconds
    cpu_seconds: NotRequired[Seconds]
    compile_seconds: Seconds
    updates: NotRequired[Count]


class Settings(TypedDict):
    """Every field of the task, of the method and of the budget."""

    task: dict[str, Any]
    method: dict[str, Any]
    budget: dict[str, Any]


class Rescored(TypedDict):
    """The final policy's scores by other solvers; nothing at all where nothing was measured."""

    adaptive: NotRequired[float | None]
    finer: NotRequired[float | None]
    end_error: NotRequired[float | None]
    violation: NotRequired[float | None]
