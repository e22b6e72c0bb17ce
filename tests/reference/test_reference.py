"""References: against independent optima, against their own control sequences, and computed again."""

import dataclasses
import json
import math
import sys
from itertools import islice
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_tasks import DoubleIntegrator, Hilltop, Unstable

from bench import suite
from bench.cli.reference import command, grids_of
from bench.errors import UsageError
from bench.records import reference, reference_file
from bench.reference import lookup
from bench.reference.cross_check import cross_check
from bench.reference.difficulty import integration_error, lyapunov
from bench.reference.fingerprint import fingerprint
from bench.reference.multiple_shooting import NonlinearProgram
from bench.reference.newton import polish
from bench.reference.single_shooting import local_search, single_shooting
from bench.reference.starts import evaluation_starts
from bench.simulate import from_knots, open_loop
from tasks import TASKS, AbstractSolvedTask

# Direct multiple shooting with RK4 and an interior-point solver, computed independently of this project.
INDEPENDENT = json.loads((Path(__file__).parents[1] / "data" / "independent_optima.json").read_text())


@pytest.fixture(scope="module")
def single():
    """The reference of a linear-quadratic task by single shooting alone."""
    return single_shooting("lq", DoubleIntegrator(), *evaluation_starts(DoubleIntegrator()))


@pytest.mark.parametrize("name", INDEPENDENT["num_steps_100"])
def test_stored_optima_meet_the_independent_ones(name):
    # 1e-4: both transcriptions hold controls alike, so only solver tolerances and RK4's error differ.
    assert lookup.lookup(TASKS[name]()).best == pytest.approx(INDEPENDENT["num_steps_100"][name], rel=1e-4)


@pytest.mark.parametrize("name", INDEPENDENT["num_steps_200"])
def test_multiple_shooting_meets_the_independent_optima_on_a_finer_grid(name):
    task = TASKS[name](num_steps=200)
    program = NonlinearProgram(task, *evaluation_starts(task), 1.0)
    found = program.solve(*next(program.guesses()))
    assert found is not None
    assert found.cost == pytest.approx(INDEPENDENT["num_steps_200"][name], rel=1e-6)  # both give eight digits


@pytest.mark.parametrize("name", INDEPENDENT["targets_enforced"])
def test_priced_targets_cost_a_little_less_than_enforced_ones(name):
    enforced = INDEPENDENT["targets_enforced"][name]
    # 5 %: the weights are chosen for it. 1e-4: see above.
    assert 0.95 * enforced < lookup.lookup(TASKS[name]()).best < (1 + 1e-4) * enforced


@pytest.mark.parametrize("name", TASKS)
def test_a_stored_reference_is_what_its_controls_cost(name, x64):
    task, stored = TASKS[name](), lookup.lookup(TASKS[name]())

    def cost(controls):
        us = jnp.broadcast_to(jnp.array(controls), (task.num_steps, len(task.controls)))
        return float(open_loop(task, us, task.x0).cost)

    size = reference.cost_size(stored.floor, stored.best)
    if stored.states is None:
        # 1e-8: it is the cost of exactly these controls, but chaos amplifies the rounding of another machine.
        assert cost(stored.controls) == pytest.approx(stored.best, abs=1e-8 * size)
    else:
        assert cost(stored.controls) > stored.best * (1 + 1e-4)  # else no states would be stored
        xs, us = jnp.array(stored.states), jnp.array(stored.controls)
        pieces = from_knots(task, us, xs)
        # 1e-6: the knots come from another integrator, accurate to 1e-9, and from controls with ten digits.
        np.testing.assert_allclose(pieces.xs, xs, atol=1e-6)
        assert float(pieces.cost) == pytest.approx(stored.best, abs=1e-8 * size)
        np.testing.assert_array_equal(xs[0], task.x0)
    if task.floor == "constant":
        assert cost(stored.floor_control) == pytest.approx(stored.floor, rel=1e-8)
    assert stored.best <= stored.floor
    low, high = task.bounds
    assert np.all(np.array(stored.controls) >= low - 1e-9)
    assert np.all(np.array(stored.controls) <= high + 1e-9)


@pytest.mark.parametrize(
    "stored",
    reference_file.read_references(reference_file.PACKAGE_FILE).values(),
    ids=lambda r: f"{r.task}-{r.num_steps}",
)
def test_a_stored_reference_says_how_sure_it_is(stored):
    assert stored.single_shooting
    assert stored.multiple_shooting is not None
    # 1e-8: single shooting alone is no better than the stored cost, up to the rounding of stored controls.
    assert stored.best <= min(stored.single_shooting) + 1e-8 * reference.cost_size(stored.floor, stored.best)
    if stored.grade != "C":
        # 1e-4: a first-order point, with the cost in units of its headroom. Its cost is then known to 1e-8 or better.
        assert stored.residual < 1e-4
        assert stored.second_order is not False
    if stored.grade == "B":
        assert stored.difference is not None
        assert stored.difference < reference.AGREEMENT_RTOL


def test_the_paper_is_judged_by_confirmed_optima():
    for name in suite.load("paper").tasks:
        task = TASKS[name]()
        stored = lookup.lookup(task)
        assert stored.grade in "AB"
        if isinstance(task, AbstractSolvedTask):
            # 1e-7: the simulator's error in e⁴, and the last digits of a control on its bound.
            assert stored.best == pytest.approx(task.optimum(), rel=1e-7)
            assert stored.grade == "A"


def test_the_search_reaches_the_riccati_optimum_on_another_grid():
    task = DoubleIntegrator(num_steps=20)
    found = single_shooting("lq", task, *evaluation_starts(task))
    assert found.best == pytest.approx(task.optimum(), rel=1e-9)  # quadratic, float64
    assert found.residual < 1e-6
    assert found.floor > found.best
    assert (found.num_steps, found.horizon) == (20, 2.0)


def test_a_recomputed_reference_is_the_stored_one():
    task = TASKS["simple_case"]()
    stored = lookup.lookup(task)
    found = cross_check(task, single_shooting("simple_case", task, *evaluation_starts(task)))
    assert found.best == pytest.approx(stored.best, rel=1e-9)  # float64, perhaps on another machine
    assert (found.grade, found.second_order) == (stored.grade, stored.second_order)


@pytest.mark.parametrize("name", suite.load("paper").tasks)
def test_multiple_shooting_alone_reaches_the_stored_optimum(name):
    task = TASKS[name]()
    stored = lookup.lookup(task)
    program = NonlinearProgram(task, *evaluation_starts(task), reference.cost_unit(stored.floor, stored.best))
    costs = [found.cost for guess in islice(program.guesses(), 3) if (found := program.solve(*guess))]
    assert min(costs) == pytest.approx(stored.best, rel=reference.AGREEMENT_RTOL)


def test_both_routes_meet_at_the_riccati_optimum(single):
    task = DoubleIntegrator()
    found = cross_check(task, single)
    assert found.best == pytest.approx(task.optimum(), rel=1e-9)  # quadratic, float64
    assert found.multiple_shooting == pytest.approx([task.optimum()] * 7, rel=1e-7)  # RK4's error
    assert (found.grade, found.second_order, found.states) == ("B", True, None)
    assert found.difference < 1e-7
    assert cross_check(task, single, earlier=found) == found


@pytest.mark.parametrize("steps", [1, 2])
def test_a_grid_of_one_or_two_steps_takes_the_second_route(steps):
    task = DoubleIntegrator(num_steps=steps)
    program = NonlinearProgram(task, *evaluation_starts(task), 1.0)
    found = program.solve(*next(program.guesses()))
    assert found
    assert found.cost == pytest.approx(task.optimum(), rel=reference.AGREEMENT_RTOL)
    assert len(list(program.guesses())) > 3  # some random sequences switch in every interval


def test_an_unstable_optimum_is_kept_with_its_states(tmp_path):
    task = Unstable()
    found = cross_check(task, single_shooting("unstable", task, *evaluation_starts(task)))
    assert found.states is not None
    assert found.grade == "C"
    assert found.difference > reference.AGREEMENT_RTOL
    # 1e-6: the errors of two integrators.
    assert found.best == pytest.approx(task.optimum(), rel=1e-6)
    reference_file.write_references(tmp_path / "references.toml", {found.fingerprint: found})
    assert reference_file.read_references(tmp_path / "references.toml") == {found.fingerprint: found}


def test_a_stationary_maximum_is_no_minimum():
    program = NonlinearProgram(Hilltop(), np.zeros(1), 1.0)
    stationary = program.solve(np.zeros((5, 1)), np.zeros((6, 1)))
    assert stationary is not None
    residual, curvature = program.optimality(stationary)
    assert residual < 1e-9
    assert curvature == pytest.approx(-1)


def test_a_fingerprint_follows_the_mathematics_and_nothing_else():
    task = TASKS["harvest"]
    same = fingerprint(task())
    assert fingerprint(task()) == same
    with jax.enable_x64(True):
        assert fingerprint(task()) == same
    assert len({same, fingerprint(task(m=0.3)), fingerprint(task(num_steps=99)), fingerprint(task(solver="heun"))}) == 4

    class Priced(DoubleIntegrator):
        """Another terminal cost with the same fields, like after an edit of the file."""

        def terminal_cost(self, x):
            return 3 * (x[0] ** 2 + x[1] ** 2)

    assert fingerprint(Priced()) != fingerprint(DoubleIntegrator())
    assert all(fingerprint(made()) == lookup.lookup(made()).fingerprint for made in TASKS.values())


def test_the_command_skips_what_is_stored_and_drops_nothing_of_others(single, tmp_path, monkeypatch, capsys):
    path = tmp_path / "references.toml"  # a task of one's own has its references beside its results
    with pytest.raises(UsageError, match="give --out DIR"):
        command(["reference_tasks:DoubleIntegrator"])
    other = dataclasses.replace(single, fingerprint="other", task="other")
    reference_file.write_references(path, {r.fingerprint: r for r in (single, other)})

    def second_search(*arguments, **options):
        raise AssertionError("what is stored was searched again")

    monkeypatch.setattr("bench.reference.single_shooting.single_shooting", second_search)
    command(["reference_tasks:DoubleIntegrator"], out=tmp_path)
    assert "grade B" in capsys.readouterr().out
    done = reference_file.read_references(path)
    assert done["other"] == other
    assert done[single.fingerprint].multiple_shooting
    monkeypatch.setattr("bench.reference.cross_check.cross_check", second_search)
    command(["reference_tasks:DoubleIntegrator"], out=tmp_path)
    assert "stored" in capsys.readouterr().out
    assert reference_file.read_references(path) == done


def test_the_command_covers_every_grid_of_a_suite_and_says_what_it_cannot_do(monkeypatch):
    grids = [task.num_steps for _, (name, task, _) in grids_of(["harvest"], ["horizon-refine"]) if name == "harvest"]
    assert grids == list(suite.load("horizon-refine").num_steps)
    with pytest.raises(UsageError, match=r"no suite of .*chaos.* has a task of .*harvest"):
        command(["harvest"], ["chaos"])
    monkeypatch.setitem(sys.modules, "bench.reference.cross_check", None)
    with pytest.raises(UsageError, match=r"CasADi.*pip install"):
        command(["harvest"])


def test_difference_and_spread_are_relative_distances_from_the_best():
    alone = reference.Reference("t", 1.0, 1, "f", 9.0, [0.0], 2.0, "C", 0.0, "", [[0.0]], single_shooting=[2.0, 4.0])
    assert alone.difference is None
    both = dataclasses.replace(alone, multiple_shooting=[3.0, 2.5, 8.0])
    assert both.difference == pytest.approx(0.25)  # the second route ended at 2.5
    assert both.spread == pytest.approx(0.5)  # the median start at 3
    zero = dataclasses.replace(both, best=0.0, single_shooting=[0.0], multiple_shooting=[9e-3])
    assert zero.difference == pytest.approx(1)  # a best cost of 0 counts as a thousandth of the headroom


def test_formulas_say_where_they_hold():
    solved = {name: task for name, task in TASKS.items() if issubclass(task, AbstractSolvedTask)}
    assert all(lookup.lookup(task()).grade == "A" for task in solved.values())
    timber = solved["timber_harvest"]
    assert timber(num_steps=200).optimum() == timber().optimum() == pytest.approx(-100 * math.exp(4))
    assert timber(num_steps=99).optimum() is None  # the switch lies between two knots
    assert timber(r=0.1).optimum() is None
    assert solved["bioreactor"](K=3.0).optimum() is None
    assert solved["copy"](r=2.0, distraction=1.0).optimum() is None
    assert solved["double_pendulum_launch"](num_steps=200).optimum() is None


def test_newton_ends_at_a_minimum_in_the_box():
    """min ½ v'Av - b'v over the box: the conditions of Karush, Kuhn and Tucker, to rounding."""
    rng = np.random.default_rng(0)
    root, b = rng.normal(size=(12, 12)), 8 * rng.normal(size=12)
    A = root @ root.T + 0.1 * np.eye(12)
    found = polish(lambda v: (v @ A @ v / 2 - b @ v, A @ v - b), lambda vs: vs @ A - b, np.full(12, 0.5))
    gradient = A @ found - b
    inside = (found > 0) & (found < 1)
    assert 0 < np.sum(inside) < 12
    np.testing.assert_allclose(gradient[inside], 0, atol=1e-8)  # differences of 1e-5 give the Hessian to 1e-10
    assert np.all(gradient[found == 0] > 0)
    assert np.all(gradient[found == 1] < 0)


def test_newton_leaves_a_maximum():
    found = polish(lambda v: (-float(v @ v), -2 * v), lambda vs: -2 * vs, np.array([0.4]))
    assert found == pytest.approx([1.0])  # the nearest stationary point, at 0, is none for a minimiser


def test_newton_stops_where_every_control_is_on_a_bound():
    task = TASKS["bioreactor"](num_steps=4)
    found = local_search(task, *evaluation_starts(task), 1.0)(np.full((4, 1), 0.5))
    assert np.all(np.isin(found.us, (0, 1)))  # the gradient drives each control to a bound
    assert found.residual == 0


@pytest.mark.parametrize("name", TASKS)
def test_the_stored_difficulty_of_a_task(name):
    stored = lookup.lookup(TASKS[name]())
    assert stored.integration_error is not None
    assert stored.integration_error < 1e-5  # the project promises it
    assert stored.lyapunov is not None


def test_chaos_is_graded():
    grades = [lookup.lookup(TASKS[name]()).lyapunov for name in suite.load("chaos").tasks]
    assert grades[0] < 1 < 5 < max(grades)  # from regular to chaotic
    assert grades == sorted(grades)


def test_difficulty_is_measured():
    task = Unstable()
    assert lyapunov(task) == pytest.approx(20 * (task.horizon - task.dt), rel=1e-7)  # the solver's error
    assert integration_error(task) < 1e-6
    assert integration_error(Unstable(solver="euler")) > 0.9  # (1 + 20 h)^H is far below e^(20 T)
    assert lyapunov(Unstable(num_steps=1)) == 0.0  # it begins at the end of the first interval
    assert integration_error(Free()) == 0.0


class Free(DoubleIntegrator):
    """A motion that costs nothing: a relative error is a distance to 0."""

    def running_cost(self, t, x, u):
        return 0 * x[0]

    def terminal_cost(self, x):
        return 0 * x[0]
