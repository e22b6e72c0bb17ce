"""What a policy simulates in order to act is counted, declared, paid for, and shown."""

from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from reference_tasks import DoubleIntegrator

from baselines.policies import SequencePolicy
from bench.budget import Allowance, Budget, BudgetError, Usage
from bench.contract.method import METHOD_CHECKS, MethodUnderTest
from bench.errors import ContractError
from bench.method import AbstractMethod
from bench.run import run
from bench.simulate import AbstractPolicy, open_loop, transition
from bench.suite import Cell
from bench.sweep.job import prepare
from bench.training.train import train
from tasks.base import AbstractTask

CHECK = METHOD_CHECKS["simulates to act what it declares"]
CONTROLS = 5  # that a planner tries


def shoot(task):
    """Two gradient steps through the true simulator: two episodes."""
    us = jnp.zeros((task.num_steps, len(task.controls)))
    for _ in range(2):
        us = us - 0.1 * jax.grad(lambda us: open_loop(task, us, task.x0).cost)(us)
    return us


class ModelPredictive(AbstractPolicy):
    """The best of CONTROLS controls for the interval, by the true simulator, in intervals 0, `every`, 2 `every`..."""

    task: AbstractTask
    every: int = eqx.field(static=True)

    def initial(self):
        return jnp.zeros((), jnp.int32)

    def __call__(self, t, x, k):
        us = jnp.linspace(-1.0, 1.0, CONTROLS)[:, None] * jnp.ones(len(self.task.controls))

        def plan():
            return us[jnp.argmin(jax.vmap(lambda u: transition(self.task, t, x, u)[1])(us))]

        return plan() if self.every == 1 else jax.lax.cond(k % self.every == 0, plan, lambda: us[0]), k + 1


KEPT: dict[str, AbstractTask] = {}  # what a method that is no value has kept


class PlannerState(eqx.Module):
    nothing: Float[Array, ""]


class Planner(AbstractMethod[PlannerState]):
    """Learns nothing, and plans on the true simulator when it is judged."""

    way: Literal[
        *("shooting", "ahead of time", "callback", "own callback", "always", "at times"),
        *("in init", "in usage", "kept task", "task of its own"),
    ] = "shooting"
    declared: int = 0

    def usage(self, task):
        if self.way == "in usage":
            shoot(task)
        KEPT["task"] = task
        return Usage(0, acting_env_steps=self.declared)

    def init(self, task, key):
        return PlannerState(jnp.sum(shoot(task)) if self.way == "in init" else jnp.zeros(()))

    def step(self, task, state, key):
        return state

    def policy(self, task, state):
        if self.way in ("always", "at times"):
            return ModelPredictive(task, 1 if self.way == "always" else 2)
        us = np.zeros((task.num_steps, len(task.controls)), np.float32)
        if self.way == "kept task":
            return SequencePolicy(shoot(KEPT["task"]))
        if self.way == "task of its own":
            return SequencePolicy(shoot(DoubleIntegrator(num_steps=task.num_steps)))
        if self.way == "shooting":
            return SequencePolicy(shoot(task))
        if self.way == "ahead of time":
            with jax.ensure_compile_time_eval():
                return SequencePolicy(shoot(task))
        if "callback" in self.way:
            plan = (lambda _: us) if self.way == "own callback" else (lambda _: np.asarray(shoot(task)))
            return SequencePolicy(jax.pure_callback(plan, jax.ShapeDtypeStruct(us.shape, us.dtype), state.nothing))
        return SequencePolicy(jnp.asarray(us))


# Steps on the counting task, whose episodes have 4.
SIMULATED = {"shooting": 8, "ahead of time": 8, "callback": 8, "always": 4 * CONTROLS, "at times": 2 * CONTROLS}


@pytest.mark.parametrize("way", SIMULATED)
def test_what_a_policy_simulates_is_counted_to_the_step(way):
    CHECK(MethodUnderTest(Planner(way, SIMULATED[way])))
    with pytest.raises(ContractError, match=f"its policy simulates {SIMULATED[way]} steps beside the episode's own"):
        CHECK(MethodUnderTest(Planner(way, SIMULATED[way] - 1)))


@pytest.mark.parametrize("way", [*SIMULATED, "own callback", "in init", "kept task", "task of its own"])
def test_a_run_refuses_a_method_that_simulates_undeclared(way):
    seen = r"(vector_field|calls the simulator|calls back into Python \(pure_callback\)).* declares .* = 0"
    with pytest.raises(BudgetError, match=seen):
        next(train(DoubleIntegrator(num_steps=4), Planner(way), Budget(10), (0,)))


@pytest.mark.parametrize("way", ["shooting", "always"])
def test_a_run_refuses_a_planner_that_declares_too_few_steps(way):
    task, few = DoubleIntegrator(num_steps=4), SIMULATED[way] - 1
    with pytest.raises(BudgetError, match=rf"at least {SIMULATED[way]} steps .* declares acting_env_steps = {few}\."):
        next(train(task, Planner(way, few), Budget(10, acting_env_steps=20), (0,)))


def test_a_run_counts_the_cheaper_side_of_a_branch():
    """Whether a policy plans in an interval is known only when it runs: `bench validate` runs it."""
    planner = Planner("at times", 1)
    list(train(DoubleIntegrator(num_steps=4), planner, Budget(10, acting_env_steps=20), (0,)))
    with pytest.raises(ContractError, match="its policy simulates 10 steps"):
        CHECK(MethodUnderTest(planner))


def test_a_usage_declares_and_never_simulates():
    planner = Planner("in usage")
    with pytest.raises(BudgetError, match=r"usage\(\) evaluates the task's vector_field\. It only declares"):
        next(train(DoubleIntegrator(num_steps=4), planner, Budget(10), (0,)))
    with pytest.raises(ContractError, match=r"usage\(\) evaluates the task's vector_field: it only declares"):
        METHOD_CHECKS["spends what it declares"](MethodUnderTest(planner))


def test_a_callback_in_a_policy_hides_what_it_computes():
    with pytest.raises(ContractError, match="calls back into Python"):
        CHECK(MethodUnderTest(Planner("own callback")))


def cell(allowance: Allowance) -> Cell:
    settings = {"declared": SIMULATED["always"], "way": "always"}
    task = "reference_tasks:DoubleIntegrator"
    own = {"num_steps": 4, "starts": "fixed"}
    return Cell("s", task, "test_acting:Planner", (0,), allowance, task_settings=own, method_settings=settings)


def test_a_suite_pays_for_planning_or_refuses_it_before_anything_is_compiled(tmp_path: Path):
    with pytest.raises(BudgetError, match=r"it simulates 20 environment steps, and the budget allows 0\. A suite for"):
        prepare([cell(Allowance(env_steps=10))], tmp_path)
    (record,) = run([cell(Allowance(env_steps=10, acting_env_steps=20))], tmp_path)
    assert (record.status, record.kind, record.usage["acting_env_steps"]) == ("ok", "planner", 20)
    assert record.settings["budget"] == {"env_steps": 10, "evals": 20, "acting_env_steps": 20}
