"""Verdicts by the rule: levels of looks, decisions on made-up differences and records, and the verdict on a claim."""

import math

import numpy as np
import pytest
from synthetic import record, reference, references

from bench.claims import differences, sequential, verdicts
from bench.claims.claim import Claim, Experiment
from bench.claims.differences import Difference, combine, over
from bench.claims.effects import Evidence
from bench.claims.sequential import LOOKS, decide, nominal_levels


def test_all_looks_together_spend_alpha():
    """By 40,000 paths of the looks' statistics, which no integral computes; each has independent increments."""
    steps = np.random.default_rng(0).normal(size=(40_000, len(LOOKS)))
    z = np.cumsum(steps, axis=1) / np.sqrt(np.arange(1, len(LOOKS) + 1))
    p = np.vectorize(math.erfc)(np.abs(z) / math.sqrt(2))
    for alpha in (0.05, 0.05 / 7):
        # Four standard errors of a share.
        allowed = 4 * math.sqrt(alpha / len(p))
        assert np.mean(np.any(p <= nominal_levels(alpha), axis=1)) == pytest.approx(alpha, abs=allowed)
    assert nominal_levels(0.05)[0] == pytest.approx(0.05 * math.log(1 + (math.e - 1) / 4), rel=1e-9)


def at(difference, error=1.0):
    return Difference(difference, error, math.inf)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([[at(2.4)]], ["better"]),  # p = .0164, below the level .0179 of the first look
        ([[at(-2.4)]], ["worse"]),
        ([[at(2.3)]], ["undecided"]),  # p = .0214: not at 5 seeds, though below .05
        ([[at(2.3), at(2.4)]], ["better"]),
        ([[at(2.4), at(0.0)]], ["better"]),  # a decision is final
        ([[at(0.0)] * 4], ["undecided"]),
        ([[at(2.4)], [at(0.0)]], ["undecided", "undecided"]),  # half of the level for each of two
        ([[at(2.4)], [at(9.0)]], ["better", "better"]),  # Holm: the second leaves its half to the first
        ([[at(0.0, 0.05)]], ["equivalent"]),  # 4 errors from either margin
        ([[at(0.1, 0.02)]], ["equivalent"]),  # not 0, and still within the margin
        ([[at(0.15, 0.04)]], ["better"]),  # 1.25 errors below the margin, 3.75 above 0
        ([[at(0.0, 0.0)]], ["equivalent"]),
        ([[at(1.0, 0.0)]], ["better"]),
        ([[]], ["undecided"]),
    ],
)
def test_decisions_follow_the_levels(looks, expected):
    assert [d.answer for d in decide(looks, [0.2] * len(looks))] == expected


def test_one_look_at_one_comparison_is_the_90_percent_interval():
    """At the level that the first look spends; without looks to come it would be .1 and the interval 90 %."""
    level = nominal_levels(0.1)[0]
    half = float(differences.interval(Difference(0.0, 0.08, 9.0), 1 - level)[1])  # of a difference with this spread
    for inside, expected in ((0.99, "equivalent"), (1.01, "undecided")):
        (decision,) = decide([[Difference(0.0, 0.08 * inside, 9.0)]], [half])
        assert decision.answer == expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([("better", False), ("better", True)], "holds"),
        ([("better", True), ("worse", True)], "fails"),
        ([("better", True), ("equivalent", True)], "fails"),
        ([("undecided", False), ("worse", True)], "fails"),
        ([("better", True), ("worse", False)], "holds against 1 of 2"),  # not at the level that both share
        ([("better", True), ("undecided", False)], "holds against 1 of 2"),
        ([("better", True)], "holds against 1 of 2"),  # the other has no results
        ([], "holds against 0 of 2"),
    ],
)
def test_the_verdict_on_a_claim_says_what_is_known(answers, expected):
    assert verdicts.verdict(answers, 2) == expected


def test_differences_combine_over_seeds_and_over_tasks():
    """Two tasks with a variance of 1/2 and one degree of freedom each: Satterthwaite gives two for their mean."""
    tasks = {"t": Difference(1.0, math.sqrt(0.5), 1.0), "u": Difference(3.0, math.sqrt(0.5), 1.0)}
    assert over("seeds", tasks) == pytest.approx((2.0, 0.5, 2.0))
    assert over("tasks", tasks) == pytest.approx((2.0, 1.0, 1.0))  # 1 and 3: deviation √2 over √2
    assert combine([2.0], [tasks["t"]]) == pytest.approx((2.0, math.sqrt(2.0), 1.0))
    assert math.isnan(over("tasks", {"t": tasks["t"]}).standard_error)


def judged(records, effect="regret", others=("b",), known=None):
    claim = Claim("x", "", "", "e", effect, "a", tuple(others))
    found = references(records) if known is None else known
    return verdicts.judge(claim, Experiment("runs"), Evidence({"e": records}, found, [], []))


def runs(scores, tasks=("t",), seeds=5, **changes):
    """Runs of methods on tasks; a score by method, spread evenly so that seeds differ by a tenth of the regret."""
    return [
        record(method, seed, 1 - (1 - score) * (0.8 + 0.1 * seed), task, **changes)
        for method, score in scores.items()
        for task in tasks
        for seed in range(seeds)
    ]


def test_regrets_are_compared_in_decades_and_scores_beside():
    """Scores of .95 and .5 are regrets of .05 and .5 of the headroom: one decade, and .45 of the score."""
    finding = judged(runs({"a": 0.95, "b": 0.5}))
    assert finding.verdict == "holds"
    (c,) = finding.comparisons
    assert (c.verdict, c.scale, c.over, c.seeds) == ("better", "decades", "seeds", 5)
    effects = {(e.scale, e.over): e.effect for e in c.estimates}
    assert effects == pytest.approx(
        {("decades", "seeds"): 1, ("decades", "tasks"): 1, ("score", "seeds"): 0.45, ("score", "tasks"): 0.45}
    )
    assert c.level == pytest.approx(1 - nominal_levels(0.05)[0])
    assert finding.remarks[0] == "1 task only: the verdict says nothing about others"


@pytest.mark.parametrize(("tasks", "unit"), [(4, "seeds"), (5, "tasks")])
def test_five_tasks_are_a_random_sample(tasks, unit):
    names = [f"t{i}" for i in range(tasks)]
    # The subject is far better on all tasks but one, where it is far worse: sure of these tasks, not of others.
    records = runs({"a": 0.95, "b": 0.5}, names[1:]) + runs({"a": 0.5, "b": 0.99}, names[:1])
    (c,) = judged(records).comparisons
    assert (c.over, c.verdict) == (unit, {"seeds": "better", "tasks": "undecided"}[unit])


def test_the_score_decides_where_one_method_has_solved_the_task():
    """Runs near the optimum differ by decades for rounding's sake, so that decades hide that the task is solved."""
    solved = [record("a", seed, score) for seed, score in enumerate([0.99999, 0.99, 0.9999, 0.985, 0.999])]
    far = [record("b", seed, -1.9 + 0.3 * seed) for seed in range(5)]
    (c,) = judged(solved + far).comparisons
    assert (c.scale, c.verdict) == ("score", "better")
    assert c.decisive.effect == pytest.approx(1.935, abs=0.001)  # scores are clipped to [-1, 1]
    (c,) = judged(runs({"a": 0.999, "b": 0.99})).comparisons
    assert (c.scale, c.verdict) == ("decades", "better")  # both have solved it


@pytest.mark.parametrize(("others", "regret"), [({"b": 0.9}, 2.0), ({"b": 0.9, "c": -9.0}, 12.0)])
def test_a_failed_run_counts_as_a_score_of_minus_1_or_as_the_worst_of_all(others, regret):
    failed = [record("a", seed, None) for seed in range(5)]
    c = judged(failed + runs(others), others=[*others]).comparisons[0]
    by_scale = {e.scale: e.effect for e in c.estimates if e.over == "seeds"}
    # Regrets of b are around .1, their logarithms around -1.009: they are .08 to .12.
    assert by_scale["decades"] == pytest.approx(-math.log10(regret / 0.1), abs=0.01)
    assert by_scale["score"] == pytest.approx(-1.9)
    assert c.verdict == "worse"


def test_a_look_needs_both_methods_on_every_task():
    few = runs({"a": 0.95, "b": 0.5}, ["t", "u"], seeds=4)
    (c,) = judged(few).comparisons
    assert (c.verdict, c.level, c.low) == ("undecided", 0, None)
    assert "fewer than 5 seeds on every task, so undecided: b (4)" in judged(few).remarks
    whole = runs({"a": 0.95, "b": 0.5}, ["t", "u"])
    assert judged(whole).verdict == "holds"
    assert judged([r for r in whole if (r.method, r.task) != ("b", "u")]).comparisons[0].level == 0
    assert judged(runs({"a": 0.95})).verdict == "holds against 0 of 1"
    assert "no result of b" in judged(runs({"a": 0.95})).remarks


def test_a_later_look_uses_all_seeds_up_to_it():
    """Undecided at 5 seeds, where noise hides the effect; decided at 10. What follows changes nothing."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(2, 20)) * 0.25
    records = [
        record(m, seed, 1 - 10 ** -(base + noise[i, seed]))
        for i, (m, base) in enumerate((("a", 0.8), ("b", 0.4)))
        for seed in range(20)
    ]
    found = {n: judged([r for r in records if r.seed < n]).comparisons[0] for n in LOOKS}
    assert [found[n].verdict for n in LOOKS] == ["undecided", "better", "better", "better"]
    assert [found[n].seeds for n in LOOKS] == [5, 10, 10, 10]


def test_tasks_without_headroom_carry_no_weight():
    records = runs({"a": 0.95, "b": 0.5}, ["t", "flat"])
    known = {"t-10": reference("t"), "flat-10": reference("flat", floor=10.0)}
    finding = judged(records, known=known)
    assert [task.task for task in finding.comparisons[0].tasks] == ["t"]
    assert "without headroom and left out: flat" in finding.remarks


def test_a_smaller_margin_is_the_claims_own():
    claim = Claim("x", "", "", "e", "regret", "a", ("b",), margins={"decades": 2.0}, reason="coarse")
    records = runs({"a": 0.95, "b": 0.5})
    finding = verdicts.judge(claim, Experiment("runs"), Evidence({"e": records}, references(records), [], []))
    assert (finding.verdict, finding.comparisons[0].margin) == ("fails", 2.0)
    assert "margin: coarse" in finding.remarks


def test_the_trend_is_per_doubling_of_the_steps():
    scores = {("a", 10): 0.9, ("b", 10): 0.9, ("a", 40): 0.99, ("b", 40): 0.9}
    records = [record(m, i, s, num_steps=n) for (m, n), s in scores.items() for i in range(5)]
    (c,) = judged(records, "regret_by_doubling").comparisons
    assert c.decisive.effect == pytest.approx(0.5, rel=1e-2)  # a decade over two doublings
    assert sequential.LOOKS[0] == c.seeds
    one_grid = judged([r for r in records if r.num_steps == 10], "regret_by_doubling")
    assert (one_grid.comparisons, one_grid.remarks) == ([], ["no result of b"])  # one grid has no trend
