"""Tests of the gate, and the drops that they can find. No JAX here.

A cell has a paired test of its own if enough seeds are in both sets of records: at least MIN_PAIRS, and as many as can
prove a difference in one cell among so many. The other cells of a method are strata of one unpaired test.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np

from bench.analysis.scores import CellKey
from bench.analysis.stats import Floats
from bench.gate import permutation

MIN_PAIRS = 8
POWER = 0.8  # chance with which a detectable drop is found

Scores = Mapping[CellKey, Mapping[int, float]]  # cell -> seed -> clipped score


class AbstractTest(ABC):
    """A test of one cell or of several.

    kind: how the seeds are compared
    cells: the cells that are tested together
    seeds: the smallest number of seeds of a cell, in the baseline and in the candidate
    differences: for each cell, the mean score of the candidate less that of the baseline
    """

    kind: Literal["paired", "unpaired"]
    cells: tuple[CellKey, ...]
    seeds: tuple[int, int]
    differences: tuple[float, ...]

    @abstractmethod
    def p_value(self) -> float:
        """Two-sided p-value of the difference, not corrected for other tests."""

    @abstractmethod
    def smallest_p_value(self, seeds: int) -> float:
        """Smallest p-value that a candidate with this number of seeds can give."""

    @abstractmethod
    def standard_error(self, seeds: int) -> float:
        """Standard error of the difference for a candidate with this number of seeds; nan if the spread is unknown."""


class PairedTest(AbstractTest):
    """A test of one cell by the seeds that both sets of records have.

    Args:
        per_seed: "pairs", the candidate's score less the baseline's for each seed.
    """

    kind: Literal["paired", "unpaired"] = "paired"

    def __init__(self, cell: CellKey, per_seed: Floats):
        self.cells, self.seeds = (cell,), (len(per_seed), len(per_seed))
        self.per_seed, self.differences = per_seed, (float(np.mean(per_seed)),)

    def p_value(self) -> float:
        return permutation.paired(self.per_seed)

    def smallest_p_value(self, seeds: int) -> float:
        return permutation.smallest_paired_p_value(seeds)

    def standard_error(self, seeds: int) -> float:
        return float(np.std(self.per_seed, ddof=1)) / math.sqrt(seeds)


class UnpairedTest(AbstractTest):
    """A test of all cells of a method that have too few seeds in common.

    Args:
        strata: for each cell, the scores of the baseline "runs" and of the candidate "runs".
        min_pairs: number of seeds in common with which each cell would have a paired test.
    """

    kind: Literal["paired", "unpaired"] = "unpaired"

    def __init__(self, cells: Sequence[CellKey], strata: Sequence[tuple[Floats, Floats]], min_pairs: int):
        self.cells, self.strata, self.min_pairs = tuple(cells), strata, min_pairs
        self.seeds = min(len(a) for a, _ in strata), min(len(b) for _, b in strata)
        self.differences = tuple(float(np.mean(b) - np.mean(a)) for a, b in strata)

    def p_value(self) -> float:
        return permutation.unpaired(self.strata)

    def smallest_p_value(self, seeds: int) -> float:
        if seeds >= self.min_pairs:
            return permutation.smallest_paired_p_value(seeds)
        return permutation.smallest_unpaired_p_value([(max(len(a), seeds), seeds) for a, _ in self.strata])

    def standard_error(self, seeds: int) -> float:
        spreads = [_spread(a, b) for a, b in self.strata]
        if seeds >= self.min_pairs:
            return max(spreads) * math.sqrt(2 / seeds)
        variances = [
            s**2 * (1 / max(len(a), seeds) + 1 / seeds) for s, (a, _) in zip(spreads, self.strata, strict=True)
        ]
        return math.sqrt(sum(variances)) / len(variances)


def _spread(a: Floats, b: Floats) -> float:
    """Standard deviation within two groups; nan if neither has two runs."""
    freedom = len(a) + len(b) - 2
    return math.sqrt((np.var(a) * len(a) + np.var(b) * len(b)) / freedom) if freedom else math.nan


def plan_tests(baseline: Scores, candidate: Scores, alpha: float) -> Iterator[AbstractTest]:
    """Choose the tests of all cells. `candidate` has every cell of `baseline`.

    A paired test must be able to reach the level `alpha` corrected for the number of cells.
    """
    level = max(alpha / max(len(baseline), 1), permutation.MIN_P_VALUE)
    min_pairs = next(n for n in itertools.count(MIN_PAIRS) if permutation.smallest_paired_p_value(n) <= level)
    few = defaultdict(list)
    for key in baseline:
        common = sorted(baseline[key].keys() & candidate[key].keys())
        if len(common) >= min_pairs:
            yield PairedTest(key, np.array([candidate[key][seed] - baseline[key][seed] for seed in common]))
        else:
            few[key.suite, key.method].append(key)
    for keys in few.values():
        groups = [[np.array(list(side[key].values())) for side in (baseline, candidate)] for key in keys]
        yield UnpairedTest(keys, [(a, b) for a, b in groups], min_pairs)


def detectable_drop(test: AbstractTest, seeds: int, level: float) -> float:
    """Smallest drop that a candidate with this number of seeds finds with a chance of POWER; inf if there is none.

    `level` is the p-value that counts as significant.
    """
    if test.smallest_p_value(seeds) > level or math.isnan(test.standard_error(seeds)):
        return math.inf
    return (NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(POWER)) * test.standard_error(seeds)
