"""Ranks of methods that share a rank where they cannot be told apart. No JAX here."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from bench.analysis import permutation
from bench.analysis.stats import Floats

Runs = Mapping[Any, Mapping[int, float]]  # of each task: the score of each seed


def differences(one: Runs, other: Runs) -> list[Floats]:
    """Scores of `one` less those of `other`, by task, for the tasks and seeds that both have."""
    pairs = [
        [runs[seed] - other[task][seed] for seed in runs if seed in other[task]]
        for task, runs in one.items()
        if task in other
    ]
    return [np.array(differences) for differences in pairs if differences]


def significance(methods: Sequence[Runs]) -> Floats:
    """Corrected p-values of all pairs, "methods methods": paired by (task, seed); 1 where there is no pair."""
    pairs = list(combinations(range(len(methods)), 2))
    p_values = permutation.adjust(permutation.paired_each([differences(methods[i], methods[j]) for i, j in pairs]))
    table = np.ones((len(methods), len(methods)))
    for (i, j), p in zip(pairs, p_values, strict=True):
        table[i, j] = table[j, i] = p
    return table


def ranks(methods: Sequence[Runs], p_values: Floats, alpha: float = 0.05) -> list[int]:
    """1 + the number of methods that are significantly better."""

    def beats(i: int, j: int) -> bool:
        if p_values[i, j] > alpha:
            return False
        return float(np.mean([d.mean() for d in differences(methods[i], methods[j])])) > 0

    everyone = range(len(methods))
    return [1 + sum(beats(i, j) for i in everyone if i != j) for j in everyone]
