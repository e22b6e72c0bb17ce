"""Sequential seeds: looks at 5, 10, 15 and 20 seeds, and an error rate that is spent over them. No JAX.

Each look adds 5 seeds to comparisons that are still undecided. By the share s of all seeds, Pocock's spending
function allows a total error of

    α(s) = α ln(1 + (e - 1) s)

so that most of it is spent early, when seeds are few. A test at a look accepts p-values up to a level that depends on
the look alone. Levels follow from the joint distribution of the looks' z statistics, whose increments are independent.
Where tasks differ, looks at the same tasks are more alike than that, and the levels are on the safe side.

Each comparison has an α of its own. Where several comparisons of a claim must all be right, they share one by Holm's
step-down rule: a decided one leaves its share to the others.

Lan & DeMets, *Discrete Sequential Boundaries for Clinical Trials* (Biometrika 1983); Maurer & Bretz, *Multiple Testing
in Group Sequential Trials Using Graphical Approaches* (2013); Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657.
"""

import functools
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from bench.analysis.stats import t_test
from bench.claims.differences import Difference

LOOKS = (5, 10, 15, 20)  # numbers of seeds
ALPHA = 0.05  # for differences, and again for equivalences
NODES = 96  # of Gauss and Legendre; twice as many change no level in its sixth digit
Answer = Literal["better", "worse", "equivalent", "undecided"]


class Decision(NamedTuple):
    """The answer to a comparison, and the look (its index, -1 for none) and two-sided level behind it.

    For an equivalence, the level is that of its two one-sided tests together: the interval at 1 - level lies within
    the margin.
    """

    answer: Answer
    look: int
    level: float


def decide(comparisons: Sequence[Sequence[Difference]], margins: Sequence[float]) -> list[Decision]:
    """Decide comparisons that share their errors, each from its difference at every look that was taken.

    A decision is final: later looks do not change it.
    """
    decisions = [Decision("undecided", len(looks) - 1, 0.0) for looks in comparisons]
    apart = alike = 0  # comparisons that found a difference, or an equivalence
    for look in range(len(LOOKS)):
        again = True
        while again:
            again = False
            for i, looks in enumerate(comparisons):
                if decisions[i].answer != "undecided" or len(looks) <= look:
                    continue
                test = _test(looks[look], margins[i], look, len(comparisons) - apart, len(comparisons) - alike)
                if test.answer == "undecided":
                    continue
                decisions[i], again = test, True
                apart += test.answer != "equivalent"
                alike += test.answer == "equivalent"
    left = ALPHA / max(len(comparisons) - apart, 1)
    return [d if d.level else d._replace(level=nominal_levels(left)[max(d.look, 0)]) for d in decisions]


def _test(found: Difference, margin: float, look: int, unequal: int, unlike: int) -> Decision:
    """Test one comparison at one look, where so many share the errors of differences and of equivalences."""
    equivalence = nominal_levels(2 * ALPHA / unlike)[look]
    if equivalence_p_value(found, margin) <= equivalence / 2:
        return Decision("equivalent", look, equivalence)
    level = nominal_levels(ALPHA / unequal)[look]
    if t_test(*map(np.float64, found)) <= level:
        return Decision("better" if found.difference > 0 else "worse", look, level)
    return Decision("undecided", look, level)


def equivalence_p_value(found: Difference, margin: float) -> float:
    """The larger p-value of two one-sided t tests against a difference of at least `margin` in either direction."""
    beyond = abs(found.difference) - margin
    one_sided = float(t_test(*map(np.float64, (beyond, found.standard_error, found.freedom)))) / 2
    return one_sided if beyond < 0 else 1 - one_sided


def spent(alpha: float, share: float) -> float:
    """The error that Pocock's spending function allows up to a share of the seeds."""
    return alpha * math.log(1 + (math.e - 1) * share)


@functools.lru_cache(maxsize=256)
def nominal_levels(alpha: float) -> tuple[float, ...]:
    """The level of a two-sided test at each look, so that all looks together err with probability `alpha`."""
    from scipy.optimize import root_scalar  # slow to import
    from scipy.special import ndtr

    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    step = len(LOOKS) ** -0.5  # the deviation of an increment, where the last sum has variance 1
    levels: list[float] = []
    at, mass = np.zeros(1), np.ones(1)  # sums that have crossed no boundary, and their probabilities
    for k in range(1, len(LOOKS) + 1):
        allowed = spent(alpha, k / len(LOOKS)) - spent(alpha, (k - 1) / len(LOOKS))

        def excess(bound: float, at: np.ndarray = at, mass: np.ndarray = mass, allowed: float = allowed) -> float:
            return float(mass @ (ndtr((at - bound) / step) + ndtr((-at - bound) / step))) - allowed

        bound = float(root_scalar(excess, bracket=(0.0, 10.0), xtol=1e-12).root)
        levels.append(float(2 * ndtr(-bound / math.sqrt(k / len(LOOKS)))))
        inside = bound * nodes
        density = np.exp(-0.5 * ((inside[:, None] - at) / step) ** 2) / (step * math.sqrt(2 * math.pi))
        at, mass = inside, bound * weights * (density @ mass)
    return tuple(levels)
