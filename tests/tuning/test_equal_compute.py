"""Equal compute: counts of updates that fit a time, and the suite that they are written into."""

from dataclasses import replace

import pytest
from faulty_method import RandomWalk
from reference_tasks import DoubleIntegrator

from bench import registry, suite
from bench.budget import Budget
from bench.sweep.job import prepare
from bench.training.train import train
from bench.tuning import equal_compute
from bench.tuning.equal_compute import MatchedUpdates, cpu_seconds, match_updates, suite_text

TASK, BUDGET = DoubleIntegrator(), Budget(5000)


@pytest.mark.parametrize(("target", "model", "policy"), [(22.0, 120, 100), (6.5, 27, 22), (0.1, 1, 1)])
def test_counts_are_scaled_together_until_the_time_is_met(target, model, policy, monkeypatch):
    def seconds(task, method, budget):
        assert task is TASK
        assert budget is BUDGET
        return 2 + method.model_updates / 10 + method.policy_updates / 12.5

    monkeypatch.setattr(equal_compute, "cpu_seconds", seconds)
    found = match_updates("awm_gru", TASK, BUDGET, 12.0, target)
    assert found.settings == {"model_updates": model, "policy_updates": policy}
    assert found.default_seconds == 12
    assert found.seconds == pytest.approx(target, abs=0.2 if target > 2 else 2.1)  # counts are whole, and at least 1


@pytest.mark.parametrize("slow", [1, 2])
def test_a_timing_in_a_slow_minute_is_made_good(slow, monkeypatch):
    """A timing takes three times too long: the one that gives the line, or the one of the factor that it gave."""
    calls = []

    def seconds(task, method, budget):
        calls.append(method)
        return (2 + method.model_updates / 10 + method.policy_updates / 12.5) * (3 if len(calls) == slow else 1)

    monkeypatch.setattr(equal_compute, "cpu_seconds", seconds)
    found = match_updates("awm_gru", TASK, BUDGET, 12.0, 40.0)
    true_seconds = 2 + found.settings["model_updates"] / 10 + found.settings["policy_updates"] / 12.5
    assert true_seconds == pytest.approx(40, rel=equal_compute.TIME_RTOL)


def test_time_is_of_the_steps_of_a_whole_run(monkeypatch):
    """By made-up seconds: 50 before the first evaluation and 50 in the first step, then 2 in each."""

    def timed(task, method, budget, seeds):
        for i, evaluation in enumerate(train(task, method, budget, seeds)):
            yield replace(evaluation, cpu_seconds=50.0 * min(i + 1, 2) + 2 * max(i - 1, 0))

    monkeypatch.setattr(equal_compute, "train", timed)
    assert cpu_seconds(TASK, RandomWalk(), Budget(3000)) == 2 * 3000 / 100  # a step takes 100 environment steps


def test_the_suite_that_is_written_can_run_with_the_counts(tmp_path):
    base = (suite.SHIPPED_FOLDER / "paper.toml").read_text()
    matched = [MatchedUpdates("sac", {"updates": 3}, 4.0, 11.9), MatchedUpdates("ppo", {"epochs": 70}, 1.0, 12.1)]
    (tmp_path / "equal.toml").write_text(suite_text(base, "paper", "harvest", 12.0, "a processor", matched))
    loaded = suite.load(str(tmp_path / "equal.toml"))
    assert loaded.tasks == suite.load("paper").tasks
    assert "12 CPU seconds" in loaded.description
    sac, ppo, random = prepare(loaded.cells(["harvest"], ["sac", "ppo", "random"]), tmp_path)
    assert (sac.method.updates, ppo.method.epochs) == (3, 70)
    assert (sac.cell.method_label, sac.settings["method"]["updates"]) == ("sac", 3)
    assert random.method == registry.method("random")
