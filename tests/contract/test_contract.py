"""Every check of the contract can fail, and says what is wrong."""

import dataclasses
import re
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from faulty_method import Hold, bench
from jaxtyping import Array, Float

from bench.budget import Usage
from bench.contract.checks import run_checks
from bench.contract.method import METHOD_CHECKS, MethodUnderTest
from bench.contract.task import TASK_CHECKS, TaskUnderTest
from bench.errors import ContractError
from bench.method import AbstractBudgetedMethod, AbstractMethod
from bench.simulate import rollout
from tasks import AbstractTask, ControlVar, StateVar


class HillState(eqx.Module):
    u: Float[Array, " m"]


class Hill(AbstractMethod[HillState]):
    """One episode a step, with a random control, and a flaw."""

    flaw: Literal["none", "step", "init", "gradient", "key", "luck", "draw", "shape", "nan"] = "none"

    def usage(self, task):
        return Usage({"step": 3, "costs": 1000}.get(self.flaw, 4))

    def init(self, task, key):
        u = jnp.zeros(2)
        return HillState(u + rollout(task, Hold(u), task.x0).cost if self.flaw == "init" else u)

    def step(self, task, state, key):
        def cost(u):
            return rollout(task, Hold(u), task.x0).cost

        u = state.u + (0.0 if self.flaw == "key" else 0.1 * jr.normal(key, (2,)))
        u = u + 1e-3 * (jax.grad(cost)(u) if self.flaw == "gradient" else cost(u))
        if self.flaw == "luck":
            shape = jax.ShapeDtypeStruct((), jnp.float32)
            u = u + jax.experimental.io_callback(lambda _: np.float32(np.random.default_rng().random()), shape, u)
        if self.flaw == "draw":
            u = u + np.random.default_rng().normal()
        if self.flaw == "nan":
            u = u * jnp.nan
        return HillState(jnp.tile(u, 2) if self.flaw == "shape" else u)

    def policy(self, task, state):
        return Hold(state.u)


FLAWS = {
    "step": {"spends what it declares": "step() declares 3 environment steps and spends 4"},
    "init": {"spends what it declares": "init() declares 0 environment steps and spends 4"},
    "gradient": {"spends what it declares": "step() declares 0 differentiated steps and spends 4"},
    "key": {"the seed matters, and only the seed": "the key is not used"},
    "luck": {
        "the seed matters, and only the seed": "something else is random",
        "resumes from a checkpoint to the bit": "there is state outside the state",
    },
    "draw": {"the seed matters, and only the seed": "step() is another program each time"},
    "nan": {"its policy acts within the bounds": "not finite after one step"},
}


def test_a_sound_method_passes():
    assert [wrong for _, wrong in run_checks(Hill())] == [""] * len(METHOD_CHECKS)


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_of_a_method_is_found(flaw):
    method = MethodUnderTest(Hill(flaw))
    for check, words in FLAWS[flaw].items():
        with pytest.raises(ContractError, match=re.escape(words)):
            METHOD_CHECKS[check](method)


class Fitted(AbstractBudgetedMethod[HillState]):
    """A warm-up of a third of the run, with a flaw."""

    flaw: Literal["none", "raises", "odd", "dear", "costs", "twice"] = "none"
    warmup: int = 0

    usage = Hill.usage
    init = Hill.init
    step = Hill.step
    policy = Hill.policy

    def within(self, task, budget):
        if self.flaw == "raises":
            raise RuntimeError("no time\nat all")
        if self.flaw == "odd":
            return Hill()
        if self.flaw == "dear":
            return dataclasses.replace(self, flaw="costs")
        return dataclasses.replace(self, warmup=self.warmup + 1 if self.flaw == "twice" else budget.env_steps // 3)


@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ("none", ""),
        ("raises", "RuntimeError: no time"),
        ("odd", "within() returns a Hill, no AbstractBudgetedMethod"),
        ("dear", "within() gives a method that does not fit: a budget of 4 environment steps does not pay"),
        ("twice", "within(), done twice, gives another method than done once"),
    ],
)
def test_a_method_that_does_not_fit_its_run_is_found(flaw, words):
    checks = run_checks(Fitted(flaw))
    found = next(wrong for name, wrong in checks if name == "fits its run")
    assert found.startswith(words) if words else not found


def test_a_state_that_grows_is_named():
    with pytest.raises(AssertionError, match=r"state\.u: init\(\) makes it \(\(2,\), 'float32'\), step\(\) \(\(4,\)"):
        METHOD_CHECKS["one compilation serves all steps"](MethodUnderTest(Hill("shape")))


class Odd(AbstractTask):
    """x' = u, min ∫ x² + u² dt, with a flaw."""

    flaw: str = "none"
    states = (StateVar("x", 0.5, -2.0, 2.0),)
    controls = (ControlVar("u", -1.0, 1.0),)
    horizon: float = 1.0
    num_steps: int = 5
    solver: str = "heun"
    substeps: int = 4

    def vector_field(self, t, x, u):
        return u[0] if self.flaw == "shape" else u

    def running_cost(self, t, x, u):
        force = jax.lax.stop_gradient(u[0]) if self.flaw == "gradient" else u[0]
        speed = jnp.sqrt(x[0] - 0.5) if self.flaw == "root" else x[0]
        return speed**2 + force**2

    def terminal_cost(self, x):
        return jnp.zeros_like(x[0])

    def sample_start(self, key):
        return jnp.full(1, 3.0 if self.flaw == "start" else 0.5)


ODD = {
    "shape": ("shapes and dtypes are as declared", "vector_field returns shape (), it must be (1,)"),
    "gradient": ("gradients are derivatives", "finite differences give"),
    "root": ("random controls have finite costs", "of 64 random control sequences is not finite"),
    "start": ("starts are in the states' ranges", "draws 'x' outside of [-2.0, 2.0]"),
}


def test_a_sound_task_passes():
    assert [wrong for _, wrong in run_checks(Odd())] == [""] * len(TASK_CHECKS)


@pytest.mark.parametrize("flaw", ODD)
def test_a_flaw_of_a_task_is_found(flaw):
    check, words = ODD[flaw]
    with pytest.raises(ContractError, match=re.escape(words)):
        TASK_CHECKS[check](TaskUnderTest(Odd(flaw=flaw)))


def test_validate_prints_the_table_and_the_status_tells():
    done = bench("validate", "faulty_method:RandomWalk")
    assert done.returncode == 1
    assert "step() declares 100 environment steps and spends 0" in done.stdout
    assert done.stdout.count("passes") == len(METHOD_CHECKS) - 1
    assert bench("validate", "harvst").stderr == (
        "bench: unknown method or task 'harvst'. Did you mean 'harvest'? One of your own is 'module:attr'.\n"
    )
