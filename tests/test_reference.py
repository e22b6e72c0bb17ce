"""References: against independent optima, against their own control sequences, and recomputed."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import DoubleIntegrator

from bench import reference
from bench.fingerprint import fingerprint
from bench.shooting import find
from bench.simulate import open_loop
from tasks import TASKS

# Direct multiple shooting with RK4 and an interior-point solver, made independently of this project.
INDEPENDENT = json.loads((Path(__file__).parent / "data" / "independent_optima.json").read_text())


@pytest.mark.parametrize("name", INDEPENDENT["num_steps_100"])
def test_stored_optima_meet_the_independent_ones(name):
    # 1e-4: the two transcriptions share the held controls, so only solver tolerances and RK4's error differ.
    assert reference.lookup(TASKS[name]()).best == pytest.approx(INDEPENDENT["num_steps_100"][name], rel=1e-4)


@pytest.mark.parametrize("name", TASKS)
def test_a_stored_reference_is_what_its_controls_cost(name, x64):
    task, stored = TASKS[name](), reference.lookup(TASKS[name]())

    def cost(controls):
        us = jnp.broadcast_to(jnp.array(controls), (task.num_steps, len(task.controls)))
        return float(open_loop(task, us, task.x0).cost)

    # Controls are stored to ten digits.
    assert cost(stored.controls) == pytest.approx(stored.best, rel=1e-8)
    if task.floor == "constant":
        assert cost(stored.floor_control) == pytest.approx(stored.floor, rel=1e-8)
    assert stored.best <= stored.floor
    low, high = task.bounds
    assert np.all(np.array(stored.controls) >= low - 1e-9)
    assert np.all(np.array(stored.controls) <= high + 1e-9)
    assert stored.residual < 1e-4  # first-order point, with the cost in units of its headroom


def test_the_search_reaches_the_riccati_optimum_on_another_grid():
    task = DoubleIntegrator(num_steps=20)
    found = find("lq", task)
    assert found.best == pytest.approx(task.optimum(), rel=1e-9)  # quadratic, float64
    assert found.residual < 1e-6
    assert found.floor > found.best
    assert (found.num_steps, found.horizon) == (20, 2.0)


def test_a_recomputed_reference_is_the_stored_one():
    task = TASKS["cancer_treatment"]()
    assert find("cancer_treatment", task).best == pytest.approx(reference.lookup(task).best, rel=1e-9)


def test_references_of_own_settings_are_computed_once_and_kept_beside_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "_sources", [reference.PACKAGE])
    task, path = DoubleIntegrator(num_steps=5), tmp_path / "references.toml"
    package = reference.PACKAGE.read_bytes()
    with pytest.raises(LookupError, match="no reference for DoubleIntegrator with horizon"):
        reference.lookup(task)
    made = reference.ensure("own", task, path)
    assert reference.read(path) == {fingerprint(task): made}
    monkeypatch.setattr("bench.shooting.find", None)  # a second computation would fail
    assert reference.ensure("own", task, path) == made
    assert reference.PACKAGE.read_bytes() == package


def test_a_fingerprint_follows_the_mathematics_and_nothing_else():
    task = TASKS["harvest"]
    same = fingerprint(task())
    assert fingerprint(task()) == same
    with jax.enable_x64(True):
        assert fingerprint(task()) == same
    assert len({same, fingerprint(task(m=0.3)), fingerprint(task(num_steps=99)), fingerprint(task(solver="heun"))}) == 4

    class Priced(DoubleIntegrator):
        """Another terminal cost with the same fields: as after an edit of the file."""

        def terminal_cost(self, x):
            return 3 * (x[0] ** 2 + x[1] ** 2)

    assert fingerprint(Priced()) != fingerprint(DoubleIntegrator())
    assert all(fingerprint(made()) == reference.lookup(made()).fingerprint for made in TASKS.values())
