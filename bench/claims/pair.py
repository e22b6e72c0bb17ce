"""Two methods under one effect: their differences by task, scale and number of seeds. No JAX."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.analysis.stats import Floats
from bench.claims import differences
from bench.claims.differences import MIN_TASKS, Difference, Replication, Table
from bench.claims.effects import Effect, Scale
from bench.claims.sequential import LOOKS

SOLVED = 0.98  # a method whose median run scores at least this has solved a task: the rest is the score's margin


@dataclass(frozen=True)
class Pair:
    """The subject of a claim and one other, with the numbers of all methods of the claim on each scale."""

    subject: str
    other: str
    effect: Effect
    tables: Mapping[Scale, Table]

    def tasks(self, scale: Scale, seeds: int) -> dict[str, Difference]:
        """The difference on each task, from the first `seeds` seeds that both have; empty without results."""
        strata = {
            stratum: differences.stratum_difference(values, self.subject, self.other, seeds, self.effect.paired)
            for stratum, values in self.tables[scale].items()
        }
        return differences.by_task({s: d for s, d in strata.items() if d is not None}, self.effect.trend)

    @cached_property
    def scale(self) -> Scale:
        """The scale that decides: the first, or the score where, on half of the tasks, only one has solved the task.

        It is chosen at the first look and stays. A trend is always that of the first scale: solved tasks have none.
        """
        first = next(iter(self.tables))
        if self.effect.trend:
            return first
        scores = [v for v in self.tables.get("score", {}).values() if self.subject in v and self.other in v]
        one_sided = [self._solved(values, self.subject) != self._solved(values, self.other) for values in scores]
        return "score" if one_sided and 2 * sum(one_sided) >= len(one_sided) else first

    @staticmethod
    def _solved(values: Mapping[str, Floats], method: str) -> bool:
        return bool(np.nanmedian(values[method][: LOOKS[0]]) >= SOLVED)

    @cached_property
    def over(self) -> Replication:
        """The unit of replication that decides."""
        return "tasks" if len(self.tasks(self.scale, LOOKS[0])) >= MIN_TASKS else "seeds"

    def looks(self) -> list[Difference]:
        """The deciding estimate at every look for which all numbers are there."""
        complete = [seeds for seeds in LOOKS if self._complete(seeds) and self.tasks(self.scale, seeds)]
        return [differences.over(self.over, self.tasks(self.scale, seeds)) for seeds in complete]

    def _complete(self, seeds: int) -> bool:
        """Whether both methods have so many seeds on every task of the claim. A diagnostic may lack a number."""
        strata = self.tables[self.scale].values()
        both = [values.get(name, np.zeros(0))[:seeds] for values in strata for name in (self.subject, self.other)]
        return bool(both) and all(
            len(each) == seeds and (self.effect.paired or not np.any(np.isnan(each))) for each in both
        )

    @property
    def known_seeds(self) -> int:
        """The largest number of seeds of any method on any task."""
        return max((len(each) for values in self.tables[self.scale].values() for each in values.values()), default=0)
