"""A chart as data: curves of several methods, with their axes. No JAX here."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from bench.analysis.stats import Floats

Key = TypeVar("Key")
Point = TypeVar("Point")


@dataclass(frozen=True)
class Series:
    """A curve of one method, with the ends of its band where it has one; `method` is None for the reference.

    x, y, low, high: "points"
    """

    method: str | None
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None


@dataclass(frozen=True)
class Chart:
    """Curves of several methods.

    suite, task, num_steps: the part of the leaderboard that the chart shows; None: all of them
    log_x: whether the axis of abscissas is logarithmic
    held: whether a value lasts until the next point
    dots: whether points are marked, with bars for their bands, rather than joined
    target: where the curves should end, where there is such a value
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    suite: str
    task: str | None = None
    num_steps: int | None = None
    log_x: bool = False
    held: bool = False
    dots: bool = False
    target: float | None = None


def grouped(points: Iterable[Point], key: Callable[[Point], Key]) -> dict[Key, list[Point]]:
    """Points by a key, the keys in the order of their first points."""
    groups: dict[Key, list[Point]] = defaultdict(list)
    for point in points:
        groups[key(point)].append(point)
    return groups


def unit_after(name: str, unit: str) -> str:
    """A name followed by its unit, unless that is 1."""
    return name if unit == "1" else f"{name} ({unit.replace('mm3', 'mm³')})"
