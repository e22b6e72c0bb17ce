"""Effects of gradients and landscapes on made-up measurements: above 0 for the claim."""

import math
from dataclasses import replace

import pytest
from synthetic import reference

from bench.claims import verdicts
from bench.claims.claim import Claim, Experiment
from bench.claims.effects import EFFECTS, Evidence
from bench.gradients.records import Landscape, Measurement


def measured(model, updates, fit, norms, seed=0):
    numbers = {"norm": norms, "fit_error": fit, "growth": {"power": 1.0, "better": ""}}
    return Measurement("s", "t", 1.0, 20, "h", "final", model, updates, seed, 5.0, [5, 20], numbers, "f")


def effect_of(name, experiment, other="b", measurements=(), landscapes=(), known=None):
    claim = Claim("x", "", "", "e", name, "a", (other,))
    evidence = Evidence({}, known or {}, measurements, landscapes)
    (comparison,) = verdicts.judge(claim, experiment, evidence).comparisons
    return comparison.decisive.effect


def test_growth_at_equal_fit_compares_models_where_they_predict_equally_well():
    found = [
        measured("a", 1, 0.8, [1.0, 10.0]),
        measured("a", 9, 0.5, [1.0, 100.0]),  # the worst of the two at its best
        measured("b", 1, 0.5, [1.0, 1000.0]),
        measured("b", 9, 0.1, [1.0, 1e5]),
    ]
    experiment = Experiment("gradients", ("t",), models=("a", "b"), updates=(1, 9))
    for effect, expected in (("growth", 3.0), ("growth_at_equal_fit", 1.0)):
        assert effect_of(effect, experiment, measurements=found) == pytest.approx(expected)


def test_effects_of_gradients_and_landscapes_are_above_0_for_the_claim():
    """A norm that grows like H, a cosine that gains 0.2 by the cut, and 3 of 4 ascents against 1 of 4."""
    found = measured("a", 9, 0.5, [1.0, 4.0])
    found = replace(found, numbers=found.numbers | {"cosine": [0.9, 0.5], "direct_cosine": [0.9, 0.7]})
    empty = {"returns": [], "gradients": [], "ends": []}
    # Ends at regrets of .1 and 1 of the headroom, from 20 to 10, under a; 1 and lost under b.
    a = empty | {"model": "a", "end_returns": [-11.0, -20.0], "reached": 0.75}
    b = empty | {"model": "b", "end_returns": [-20.0, None], "reached": 0.25}
    landscape = Landscape("s", "t", 20, 0, "first", "controls", 5.0, [], [a, b], "f", offline=True)
    experiment = Experiment("landscapes", ("t",), models=("a", "b"), updates=(9,), offline=True)
    gradients = replace(experiment, kind="gradients", offline=False)
    known = {"f": reference("t", fingerprint="f")}
    assert effect_of("below_cubic", gradients, "a", [found]) == pytest.approx(2.0)
    assert effect_of("cosine_of_the_rest", gradients, "a", [found]) == pytest.approx(0.2)
    assert effect_of("reaching", experiment, landscapes=[landscape]) == pytest.approx(0.5)
    assert effect_of("ascent_regret", experiment, landscapes=[landscape], known=known) == pytest.approx(
        (1 + math.log10(2)) / 2
    )
    online = replace(experiment, offline=False)
    claim = Claim("x", "", "", "e", "reaching", "a", ("b",))
    assert verdicts.judge(claim, online, Evidence({}, {}, [], [landscape])).comparisons == []


def test_a_number_that_a_diagnostic_lacks_is_left_out():
    norms = [[1.0, 10.0], [1.0, math.nan], [1.0, 10.0], [1.0, 100.0], [1.0, 10.0]]
    found = [measured("a", 9, 0.5, [1.0, 1.0], seed) for seed in range(5)]
    found += [measured("b", 9, 0.5, each if each[1] == each[1] else [1.0, None], s) for s, each in enumerate(norms)]
    claim = Claim("x", "", "", "e", "growth", "a", ("b",))
    experiment = Experiment("gradients", ("t",), models=("a", "b"), updates=(9,))
    (c,) = verdicts.judge(claim, experiment, Evidence({}, {}, found, [])).comparisons
    assert (c.seeds, c.decisive.effect) == (5, pytest.approx(1.25))  # the mean of 1, 1, 2 and 1 decades
    assert EFFECTS["growth"].paired
