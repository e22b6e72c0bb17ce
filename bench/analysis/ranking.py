"""Ranks of methods; methods that cannot be told apart share one. No JAX here."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from bench.analysis import permutation
from bench.analysis.stats import Floats

SeedScores = Mapping[Any, Mapping[int, float]]  # task -> seed -> score, for one method


def differences(one: SeedScores, other: SeedScores) -> list[Floats]:
    """Scores of `one` less those of `other`: one array "pairs" for each task, over the seeds that both have."""
    pairs = [
        [runs[seed] - other[task][seed] for seed in runs if seed in other[task]]
        for task, runs in one.items()
        if task in other
    ]
    return [np.array(differences) for differences in pairs if differences]


def pairwise_p_values(methods: Sequence[SeedScores]) -> Floats:
    """Corrected p-values of the differences between all methods, "methods methods".

    A test is paired by task and seed. Its p-value is 1 where two methods have no pair.
    """
    pairs = list(combinations(range(len(methods)), 2))
    tests = [differences(methods[i], methods[j]) for i, j in pairs]
    p_values = permutation.benjamini_hochberg(permutation.paired_each(tests))
    table = np.ones((len(methods), len(methods)))
    for (i, j), p in zip(pairs, p_values, strict=True):
        table[i, j] = table[j, i] = p
    return table


def ranks(methods: Sequence[SeedScores], p_values: Floats, alpha: float = 0.05) -> list[int]:
    """Rank of each method: 1 + the number of methods that are significantly better."""

    def beats(i: int, j: int) -> bool:
        if p_values[i, j] > alpha:
            return False
        return float(np.mean([d.mean() for d in differences(methods[i], methods[j])])) > 0

    everyone = range(len(methods))
    return [1 + sum(beats(i, j) for i in everyone if i != j) for j in everyone]
