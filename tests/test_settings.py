"""Ranges of settings: nonsense is refused in one line before anything is compiled."""

import math
from typing import Annotated

import pytest
from faulty_method import RandomWalk

from baselines import METHODS
from bench import registry
from bench.errors import UsageError
from bench.settings import Count, Divides, SettingError, Within
from tasks import TASKS

NONSENSE = (-1, math.nan, math.inf, -math.inf, 10**12, 10**400, "many", [1], {"a": 1}, None, "")
ANY_SIGN = {"entropy", "optimism", "correlation"}  # -1 is a value of them


def refusal(build, name, settings):
    """The one line with which the settings are refused; "" where they are taken."""
    try:
        build(name, settings)
    except UsageError as error:
        (line,) = str(error).splitlines()
        return line
    return ""


@pytest.mark.parametrize("name", METHODS)
def test_nonsense_for_any_field_of_a_shipped_method_is_refused(name):
    defaults = registry.settings_of(registry.method(name))
    taken = [
        (field, value)
        for field in defaults
        for value in NONSENSE
        if not refusal(registry.method, name, {field: value}) and not (value == -1 and field in ANY_SIGN)
    ]
    assert not taken
    truths = {field for field, value in defaults.items() if isinstance(value, bool)}
    assert {field for field in defaults if not refusal(registry.method, name, {field: True})} == truths


@pytest.mark.parametrize("name", ["harvest", "cartpole"])
@pytest.mark.parametrize("field", ["num_steps", "substeps", "horizon", "solver", "starts"])
def test_nonsense_for_the_grid_of_a_task_is_refused(name, field):
    assert all(refusal(registry.task, name, {field: value}) for value in (*NONSENSE, 0, True, 1e300))


@pytest.mark.parametrize(
    ("method", "settings", "words"),
    [
        ("sac", {"batch": 0}, "sac.batch must be at least 1 and at most 1000000, got 0."),
        ("sac", {"polyak": 2}, "sac.polyak must be above 0 and at most 1, got 2.0."),
        ("sac", {"capacity": 3}, "sac.capacity must be at least warmup = 6, got 3."),
        ("ppo", {"episodes": 3}, "ppo.episodes must be a multiple of 2, got 3."),
        ("awm_gru", {"noise": -1}, "awm_gru.noise must be at least 0 and at most 1000000, got -1.0."),
        ("awm_gru", {"model.width": 0}, "awm_gru.model.width must be at least 1 and at most 16384, got 0."),
        (
            "history_model",
            {"model.heads": 3},
            "history_model.model.heads must be such that 2 * heads divides width = 64, got 3.",
        ),
    ],
)
def test_a_refusal_says_what_is_allowed_and_what_was_given(method, settings, words):
    assert refusal(registry.method, method, settings) == words


def test_settings_that_belong_together_are_checked_together():
    assert registry.method("history_model", {"model.heads": 3, "model.width": 48})
    assert registry.method("sac", {"warmup": 3, "capacity": 3})


class Ranged(RandomWalk):
    """A user's own method with ranges; the types of its other fields are its own affair."""

    beta: Annotated[float, Within(0, 1, open_high=True)] = 0.5
    parts: Annotated[Count, Divides("work")] = 1
    work: Count = 4
    limit: float = math.inf


def test_a_method_of_a_user_declares_ranges_alike():
    name = "test_settings:Ranged"
    assert refusal(registry.method, name, {"beta": "1"}) == f"{name}.beta must be at least 0 and below 1, got 1.0."
    assert "beta must be 0 or at least 1.2e-38 in size, got 1e-39" in refusal(registry.method, name, {"beta": "1e-39"})
    assert registry.method(name, {"beta": "0"})
    assert "1 * parts divides work = 4, got 3" in refusal(registry.method, name, {"parts": 3})
    assert registry.method(name, {"parts": 2, "limit": "inf"})
    bad = Ranged(work=0)
    with pytest.raises(SettingError, match="work must be at least 1"):
        registry._made("method", name, lambda: bad)


def test_what_is_no_factory_is_refused_without_calling_it():
    for name in ("os:abort", "_thread:interrupt_main", "threading:Thread", "..:Y", "../../x:Y", ":Y"):
        for build in (registry.task, registry.method):
            assert "Give a " in refusal(build, name, {}), name


def test_every_default_of_a_shipped_task_is_in_its_range():
    assert all(registry.task(name) for name in TASKS)
