"""What the gate tests: a cell by its pairs of seeds, or the pooled cells of a method; and which drops that can find.

With at least PAIRED_FROM seeds in common, and as many as can prove something on one cell among so many, a cell is a
paired test of its own; the cells of a method with fewer are pooled, as strata, in one unpaired test. No JAX here.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np

from bench.analysis import permutation
from bench.analysis.scores import CellKey
from bench.analysis.stats import Floats

PAIRED_FROM = 8
POWER = 0.8
FINEST = 1 / (permutation.LIMIT + 1)  # no p-value is smaller

Scores = Mapping[CellKey, Mapping[int, float]]  # of each seed


class Test(ABC):
    """A test of one cell or of several; `parts` are the differences of their means."""

    kind: Literal["paired", "unpaired"]
    cells: tuple[CellKey, ...]
    seeds: tuple[int, int]
    parts: tuple[float, ...]

    @abstractmethod
    def p_value(self) -> float: ...

    @abstractmethod
    def smallest(self, seeds: int) -> float:
        """The least p-value that so many seeds of the candidate can give."""
        ...

    @abstractmethod
    def standard_error(self, seeds: int) -> float:
        """Of the difference, with so many seeds of the candidate; nan if the spread is not known."""
        ...


class Paired(Test):
    """One cell, by the seeds that both have."""

    kind: Literal["paired", "unpaired"] = "paired"

    def __init__(self, cell: CellKey, differences: Floats):
        self.cells, self.seeds = (cell,), (len(differences), len(differences))
        self.differences, self.parts = differences, (float(np.mean(differences)),)

    def p_value(self) -> float:
        return permutation.paired([self.differences])

    def smallest(self, seeds: int) -> float:
        return permutation.smallest_paired(seeds)

    def standard_error(self, seeds: int) -> float:
        return float(np.std(self.differences, ddof=1)) / math.sqrt(seeds)


class Unpaired(Test):
    """All cells of a method that have few seeds in common; with `pairs` of them each would be a paired test."""

    kind: Literal["paired", "unpaired"] = "unpaired"

    def __init__(self, cells: Sequence[CellKey], strata: Sequence[tuple[Floats, Floats]], pairs: int):
        self.cells, self.strata, self.pairs = tuple(cells), strata, pairs
        self.seeds = min(len(a) for a, _ in strata), min(len(b) for _, b in strata)
        self.parts = tuple(float(np.mean(b) - np.mean(a)) for a, b in strata)

    def p_value(self) -> float:
        return permutation.unpaired(self.strata)

    def smallest(self, seeds: int) -> float:
        if seeds >= self.pairs:
            return permutation.smallest_paired(seeds)
        return permutation.smallest_unpaired([(max(len(a), seeds), seeds) for a, _ in self.strata])

    def standard_error(self, seeds: int) -> float:
        spreads = [_spread(a, b) for a, b in self.strata]
        if seeds >= self.pairs:
            return max(spreads) * math.sqrt(2 / seeds)
        variances = [
            s**2 * (1 / max(len(a), seeds) + 1 / seeds) for s, (a, _) in zip(spreads, self.strata, strict=True)
        ]
        return math.sqrt(sum(variances)) / len(variances)


def _spread(a: Floats, b: Floats) -> float:
    """Standard deviation within two groups."""
    freedom = len(a) + len(b) - 2
    return math.sqrt((np.var(a) * len(a) + np.var(b) * len(b)) / freedom) if freedom else math.nan


def planned(baseline: Scores, candidate: Scores, alpha: float) -> Iterator[Test]:
    level = alpha / max(len(baseline), 1)
    pairs = next(n for n in itertools.count(PAIRED_FROM) if permutation.smallest_paired(n) <= max(level, FINEST))
    few = defaultdict(list)
    for key in baseline:
        common = sorted(baseline[key].keys() & candidate[key].keys())
        if len(common) >= pairs:
            yield Paired(key, np.array([candidate[key][seed] - baseline[key][seed] for seed in common]))
        else:
            few[key.suite, key.method].append(key)
    for keys in few.values():
        groups = [[np.array(list(side[key].values())) for side in (baseline, candidate)] for key in keys]
        yield Unpaired(keys, [(a, b) for a, b in groups], pairs)


def least_drop(test: Test, seeds: int, level: float) -> float:
    """The least drop that so many seeds of the candidate find with a chance of POWER at `level`; inf if none."""
    if test.smallest(seeds) > level or math.isnan(test.standard_error(seeds)):
        return math.inf
    return (NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(POWER)) * test.standard_error(seeds)
