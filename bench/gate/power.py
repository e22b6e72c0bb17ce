"""Questions of the gate, their tests, and the drops that they can find. No JAX here.

Two questions are asked of each method: is it worse over all its tasks, and is it worse on one of them? A question is
answered by two tests that share its level. The unpaired test uses all seeds of both sides; the paired test uses the
seeds that both have, and finds small changes where a seed has the same luck on both sides. The shares are constant, so
that more seeds never find less.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bench.analysis.scores import CellKey
from bench.analysis.stats import Floats
from bench.gate import permutation
from bench.gate.permutation import Tails

POWER = 0.8  # chance with which a detectable drop is found
UNPAIRED_SHARE = 0.8  # of the level of a question; the paired test has the rest

Scores = Mapping[CellKey, Mapping[int, float]]  # cell -> seed -> clipped score


class AbstractTest(ABC):
    """A test of one task, or of several that weigh the same."""

    share: float

    @abstractmethod
    def p_values(self) -> Tails:
        """One-sided p-values, not corrected for other tests."""

    @abstractmethod
    def smallest_p_value(self, seeds: int) -> float:
        """Smallest p-value that a candidate with this number of seeds can give."""

    @abstractmethod
    def standard_error(self, seeds: int) -> tuple[float, int]:
        """Standard error of the difference for a candidate with this number of seeds, and its degrees of freedom.

        It is nan if the spread is unknown.
        """

    def detectable(self, seeds: int, level: float) -> float:
        """Smallest drop that a candidate with this number of seeds finds with a chance of POWER; inf if there is none.

        `level` is the p-value that counts as significant for the question.
        """
        level *= self.share
        error, freedom = self.standard_error(seeds)
        if self.smallest_p_value(seeds) > level or math.isnan(error):
            return math.inf
        return (_student_quantile(1 - level, freedom) + _student_quantile(POWER, freedom)) * error


@dataclass(frozen=True)
class UnpairedTest(AbstractTest):
    """A test of two groups of runs: for each task, the scores of the baseline "runs" and of the candidate "runs"."""

    strata: Sequence[tuple[Floats, Floats]]
    share = UNPAIRED_SHARE

    def p_values(self) -> Tails:
        return permutation.unpaired(self.strata)

    def smallest_p_value(self, seeds: int) -> float:
        return permutation.smallest_unpaired_p_value(self._sizes(seeds))

    def standard_error(self, seeds: int) -> tuple[float, int]:
        sizes = self._sizes(seeds)
        variances = [_spread(*groups) ** 2 * (1 / m + 1 / n) for groups, (m, n) in zip(self.strata, sizes, strict=True)]
        return math.sqrt(sum(variances)) / len(variances), sum(m + n - 2 for m, n in sizes)

    def _sizes(self, seeds: int) -> list[tuple[int, int]]:
        return [(max(len(a), seeds), seeds) for a, _ in self.strata]


@dataclass(frozen=True)
class PairedTest(AbstractTest):
    """A test of the seeds that both sides have: for each task, candidate less baseline, "pairs"."""

    strata: Sequence[Floats]
    share = 1 - UNPAIRED_SHARE

    def p_values(self) -> Tails:
        return permutation.paired(self.strata)

    def smallest_p_value(self, seeds: int) -> float:
        return permutation.smallest_paired_p_value(seeds * len(self.strata))

    def standard_error(self, seeds: int) -> tuple[float, int]:
        if min(map(len, self.strata)) < 2:
            return math.nan, 0
        variances = [float(np.var(d, ddof=1)) / seeds for d in self.strata]
        return math.sqrt(sum(variances)) / len(variances), (seeds - 1) * len(variances)


@dataclass(frozen=True)
class Question:
    """Is a method worse on these cells?

    seeds: the smallest number of seeds of a cell, in the baseline and in the candidate
    differences: for each cell, the mean score of the candidate less that of the baseline
    """

    cells: tuple[CellKey, ...]
    seeds: tuple[int, int]
    differences: tuple[float, ...]
    tests: tuple[AbstractTest, ...]

    @property
    def p_values(self) -> Tails:
        """One-sided p-values of both tests together (Bonferroni, weighted by their shares)."""
        found = [(test.p_values(), test.share) for test in self.tests]
        return Tails(*(min(1.0, *(p[side] / share for p, share in found)) for side in (0, 1)))

    def detectable(self, seeds: int, level: float) -> float:
        """The drop that the better of the tests finds with a chance of POWER (see `AbstractTest.detectable`)."""
        return min(test.detectable(seeds, level) for test in self.tests)


def questions(baseline: Scores, candidate: Scores) -> Iterator[Question]:
    """Ask about each method as a whole, then about each of its tasks. `candidate` has every cell of `baseline`."""
    of_method = defaultdict(list)
    for key in baseline:
        of_method[key.suite, key.method].append(key)
    for keys in of_method.values():
        yield _ask(keys, baseline, candidate)
        if len(keys) > 1:
            for key in keys:
                yield _ask([key], baseline, candidate)


def _ask(keys: Sequence[CellKey], baseline: Scores, candidate: Scores) -> Question:
    groups = [tuple(np.array(list(side[key].values())) for side in (baseline, candidate)) for key in keys]
    pairs = [
        np.array([candidate[key][seed] - baseline[key][seed] for seed in sorted(baseline[key].keys() & candidate[key])])
        for key in keys
    ]
    paired = [PairedTest(pairs)] if all(map(len, pairs)) else []
    return Question(
        tuple(keys),
        (min(len(a) for a, _ in groups), min(len(b) for _, b in groups)),
        tuple(float(np.mean(b) - np.mean(a)) for a, b in groups),
        (UnpairedTest([(a, b) for a, b in groups]), *paired),
    )


def _spread(a: Floats, b: Floats) -> float:
    """Standard deviation within two groups; nan if neither has two runs."""
    freedom = len(a) + len(b) - 2
    return math.sqrt((np.var(a) * len(a) + np.var(b) * len(b)) / freedom) if freedom else math.nan


def _student_quantile(p: float, freedom: int) -> float:
    """Quantile of Student's t (Abramowitz & Stegun 26.7.5); importing SciPy would take longer than the whole check."""
    z = NormalDist().inv_cdf(p)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
