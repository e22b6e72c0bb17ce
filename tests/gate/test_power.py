"""The p-values of the gate's questions, where they are known exactly."""

import numpy as np
import pytest

from bench.analysis.scores import CellKey
from bench.gate.power import questions
from bench.gate.regression import Thresholds, compare


def key(method="m", task="t"):
    return CellKey("s", task, 1.0, 10, method)


def test_a_question_is_one_sided_and_the_unpaired_test_has_four_fifths_of_its_level():
    baseline, candidate = {key(): {i: 0.5 + i / 100 for i in range(20)}}, {key(): {20: 0.1, 21: 0.2}}
    (asked,) = questions(baseline, candidate)
    lowest_of_all = 1 / 231  # 22 choose 2
    assert asked.p_values.worse == pytest.approx(lowest_of_all / 0.8)
    assert asked.p_values.better == 1


def test_the_paired_test_has_one_fifth_of_the_level():
    luck = np.random.default_rng(0).uniform(-0.5, 0.5, 12)  # hides a drop of .01 from the unpaired test
    (asked,) = questions({key(): dict(enumerate(luck))}, {key(): dict(enumerate(luck - 0.01))})
    assert asked.p_values.worse == pytest.approx(2**-12 / 0.2)


def test_p_values_are_corrected_for_all_questions_of_a_check():
    """Two methods on two tasks each: six questions."""
    baseline = {key(m, t): {i: 0.5 + i / 100 for i in range(20)} for m in "ab" for t in "tu"}
    candidate = {k: {i + 100: s for i, s in runs.items()} for k, runs in baseline.items()}
    candidate[key("a", "t")] = {100: 0.1, 101: 0.2}
    judged = {(v.cells[0].method, len(v.cells)): v for v in compare(baseline, candidate, Thresholds())}
    alone = 1 / 231 / 0.8
    assert judged["a", 1].verdict == "worse"
    # Holm multiplies by 5: one of the six questions, the method's own, has a smaller p-value.
    assert judged["a", 1].p_value == pytest.approx(5 * alone)
