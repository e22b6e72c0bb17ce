"""Scores depend neither on the unit of cost nor on a constant that is added to it."""

import dataclasses

import pytest
from reference_tasks import DoubleIntegrator
from synthetic import record, reference

from bench.analysis import leaderboard
from bench.records.reference import cost_size, cost_unit
from bench.reference.single_shooting import single_shooting
from bench.reference.starts import evaluation_starts


class OtherUnit(DoubleIntegrator):
    """The double integrator with its cost multiplied, and with a constant added at the end."""

    factor: float = 1.0
    shift: float = 0.0

    def running_cost(self, t, x, u):
        return self.factor * (x[0] ** 2 + x[1] ** 2 + self.w * u[0] ** 2)

    def terminal_cost(self, x):
        return self.factor * 2 * (x[0] ** 2 + x[1] ** 2) + self.shift


@pytest.mark.parametrize(("factor", "shift"), [(1e-12, 0.0), (1.0, 1e6)])
def test_a_search_finds_the_same_optimum_in_any_unit(factor, shift):
    task = OtherUnit(factor=factor, shift=shift)
    found = single_shooting("lq", task, *evaluation_starts(task))
    exact = DoubleIntegrator().optimum()
    # 1e-8: what rounding leaves of a cost of 2 beside 1e6, some 1e-10, and of a search that stops there.
    assert (found.best - shift) / factor == pytest.approx(exact, rel=1e-8)
    assert found.headroom == pytest.approx(found.floor - found.best)
    assert found.residual < 1e-4  # RESIDUAL_TOL of a first-order point


@pytest.mark.parametrize(("factor", "shift"), [(1e-12, 0.0), (1e12, 0.0), (1.0, 1e6), (1.0, -1e6)])
def test_the_headroom_moves_with_the_cost(factor, shift):
    first = dataclasses.replace(reference(), random=40.0)
    floor, best, random = (factor * cost + shift for cost in (first.floor, first.best, first.random or 0))
    moved = dataclasses.replace(first, floor=floor, best=best, random=random)
    assert moved.headroom == pytest.approx(factor * 10)
    assert cost_unit(floor, best) == pytest.approx(factor * 10)
    assert cost_size(floor, best) == pytest.approx(factor * 10)
    small = dataclasses.replace(moved, floor=factor * 10.02 + shift)  # 0.02, and a thousandth of 40 - 10 is 0.03
    assert small.headroom is None


def test_tables_say_why_there_is_no_score():
    without = reference("t", 10, floor=10.001)
    (note,) = [n for n in leaderboard.build([record()], {without.fingerprint: without}).notes if "headroom" in n]
    assert note == (
        "t (10 steps): no scores and no weight, because there is no headroom: the floor costs 10.001, and the best "
        "known control sequence 10."
    )
