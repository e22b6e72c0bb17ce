"""Tuning: the settings that it tries, a search that is killed, and its stored result."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import pytest
from faulty_method import Hold, bench
from jaxtyping import Array, Float

from baselines import METHODS
from bench import registry, suite
from bench.budget import Usage
from bench.errors import UsageError
from bench.method import AbstractMethod, Between
from bench.records import tuning
from bench.records.run import RunRecord
from bench.reference import lookup
from bench.tuning.search import defaults, result, search

TASK = "cancer_treatment"
USAGE = {"env_steps": 0, "env_grad_steps": 0, "train_seconds": 0.0, "compile_seconds": 0.0}
METHOD = "tuning.test_search:Level"  # the name that a `bench` process can import too


class LevelState(eqx.Module):
    u: Float[Array, " m"]


class Level(AbstractMethod[LevelState]):
    """Play a constant control at `level` of its range; no other setting has an effect on it."""

    search: ClassVar = {"level": Between(0.0, 1.0), "often": Between(1, 9), "mood": ("good", "bad")}
    level: float = 0.9
    often: int = 1
    mood: str = "bad"

    def usage(self, task):
        return Usage(100)

    def init(self, task, key):
        low, high = task.bounds
        return LevelState(low + (high - low) * (self.level + jnp.zeros(len(low))))

    def step(self, task, state, key):
        return state

    def policy(self, task, state):
        return Hold(state.u)


SUITE = f"""
description = "levels"
tasks = ["harvest"]
tuning_tasks = ["{TASK}"]
methods = ["{METHOD}"]
seeds = 1

[budget]
env_steps = 100
evals = 1
"""


@pytest.fixture
def levels(tmp_path):
    (tmp_path / "levels.toml").write_text(SUITE)
    return suite.load(str(tmp_path / "levels.toml"))


class Runs:
    """Records in place of training, with a cost that falls as the level nears 0.5.

    It interrupts the search after `patience` calls: the last runs are done, and the study does not know it yet.
    """

    def __init__(self, patience: int = 1000):
        self.calls, self.patience = 0, patience

    def __call__(self, jobs) -> bool:
        for job in jobs:
            self.calls += bool(job.todo)
            found = lookup.lookup(job.task)
            cost = found.best + abs(job.method.level - 0.5) * (found.floor - found.best)
            for seed in job.todo:
                bad = job.method.mood == "bad"
                status, value = ("ok", cost) if not bad or seed else ("diverged", None)
                job.stored.put(
                    [
                        RunRecord(
                            suite=job.cell.suite,
                            task=TASK,
                            horizon=job.task.horizon,
                            num_steps=job.task.num_steps,
                            method=job.cell.method_label,
                            seed=seed,
                            status=status,
                            cost=value,
                            curve=[{"env_steps": 0, "train_seconds": 0.0, "cost": value, "end_error": None}],
                            usage=USAGE,
                            fingerprint=job.fingerprint,
                            settings=job.settings,
                        )
                    ]
                )
        return self.calls < self.patience


def tried(levels, folder: Path, trials: int, runs: Runs):
    return list(search(METHOD, levels, trials, 2, folder, runs))


def test_the_defaults_come_first_and_better_settings_are_found(levels, tmp_path):
    trials = tried(levels, tmp_path, 12, Runs())
    assert trials[0].settings == {"level": 0.9, "often": 1, "mood": "bad"}
    assert trials[0].score == pytest.approx((-1 + 0.6) / 2)  # a run that diverged counts -1
    assert all(type(t.settings["often"]) is int and 1 <= t.settings["often"] <= 9 for t in trials)
    assert len({tuple(t.settings.values()) for t in trials}) == 12
    found = result(METHOD, levels, 2, trials, tmp_path)
    assert (found.default_score, found.best_score) == (trials[0].score, max(t.score for t in trials))
    assert found.best["mood"] == "good"
    assert found.best_score == pytest.approx(1 - abs(found.best["level"] - 0.5))
    assert found.tasks == [TASK]
    assert found.all_trials == 12


def test_a_search_that_was_killed_goes_on_where_it_was(levels, tmp_path):
    whole = tried(levels, tmp_path / "whole", 6, Runs())
    assert tried(levels, tmp_path / "whole", 6, Runs(patience=0)) == whole  # nothing is left to do
    cut = Runs(patience=3)
    assert tried(levels, tmp_path / "cut", 6, cut) == whole[:2]
    rest = Runs()
    assert tried(levels, tmp_path / "cut", 6, rest) == whole
    assert rest.calls == 3  # the third trial's runs were done
    assert tried(levels, tmp_path / "whole", 8, Runs())[:6] == whole  # more trials continue the search


def test_trials_of_all_searches_are_counted_and_those_of_one_that_went_on_once(levels, tmp_path):
    tried(levels, tmp_path, 3, Runs())
    more = tried(levels, tmp_path, 4, Runs())  # the same search
    other = list(search(METHOD, levels, 2, 3, tmp_path, Runs()))  # another one: of three seeds
    assert result(METHOD, levels, 2, more, tmp_path).all_trials == 4 + 2
    tuning.store_tuning(tmp_path / "tuned.toml", result(METHOD, levels, 2, more, tmp_path))
    tuning.store_tuning(tmp_path / "tuned.toml", result(METHOD, levels, 3, other, tmp_path))
    stored = tuning.read_tunings(tmp_path / "tuned.toml")[METHOD]
    assert (stored.trials, stored.all_trials) == (2, 6)
    elsewhere = list(search(METHOD, levels, 5, 4, tmp_path / "elsewhere", Runs()))
    tuning.store_tuning(tmp_path / "tuned.toml", result(METHOD, levels, 4, elsewhere, tmp_path / "elsewhere"))
    assert tuning.read_tunings(tmp_path / "tuned.toml")[METHOD].all_trials == 11


def test_a_search_space_must_hold_its_defaults():
    with pytest.raises(UsageError, match=r"default level=1.5 is not in Between\(low=0.0, high=1.0"):
        defaults(Level(level=1.5))
    with pytest.raises(ValueError, match="low < high"):
        Between(1.0, 0.0)


def test_what_is_stored_is_read_again_and_one_method_replaces_itself(tmp_path):
    path = tmp_path / "tuned.toml"
    one = tuning.Tuning("my.file:M", "s", ["t"], 2, 20, -0.5, 0.25, "2026-01-01", {"model.width": 3, "rate": 1e-05})
    other = dataclasses.replace(one, method="sac", best={"mood": "good", "flag": True})
    again = dataclasses.replace(one, trials=30, searches={"again": 30})
    for made in (one, other, again):
        tuning.store_tuning(path, made)
    both = dataclasses.replace(
        again, searches={"of 2026-01-01": 20, "again": 30}
    )  # an older file knows its last search
    assert tuning.read_tunings(path) == {"my.file:M": both, "sac": other}
    assert (both.all_trials, other.all_trials) == (50, 20)
    assert one.matches({"model.width": 3, "rate": 1.004e-05, "more": 0})
    assert not any(map(one.matches, ({"model.width": 4, "rate": 1e-05}, {"model.width": 3, "rate": 1.01e-05}, {})))
    path.write_text("[sac]\nnonsense = 1\n")
    with pytest.raises(UsageError, match="no file of tunings"):
        tuning.read_tunings(path)


def test_the_defaults_in_the_methods_files_are_the_tuned_ones():
    """A method runs with its tuned settings. After `bench tune`, write the best ones into the method's file."""
    for name, tuned in tuning.read_tunings(tuning.PACKAGE_FILE).items():
        settings = registry.settings_of(METHODS[name]())
        assert tuned.matches(settings), name


def test_the_command_tunes_and_stores(tmp_path):
    (tmp_path / "levels.toml").write_text(SUITE)
    arguments = ("tune", METHOD, "--suite", tmp_path / "levels.toml", "--out", tmp_path / "out")
    done = bench(*arguments, "--trials", 2, "--seeds", 1, "--store", tmp_path / "mine" / "tuned.toml")
    assert done.returncode == 0, done.stderr
    assert "trial 2/2  score " in done.stdout
    stored = tuning.read_tunings(tmp_path / "mine" / "tuned.toml")
    assert stored == tuning.read_tunings(tmp_path / "out" / "tuned.toml")
    assert (stored[METHOD].trials, stored[METHOD].seeds) == (2, 1)
    assert bench("tune", "constant").stderr.startswith("bench: method 'constant' declares no search space")
