"""Models that are fitted to a fixed data set: the data, and the requests that ask for it."""

from dataclasses import replace

import equinox as eqx
import jax.random as jr
import numpy as np
from reference_tasks import DoubleIntegrator

from baselines.model_gradient import ModelGradient
from baselines.world_models import OneStep
from bench.gradients import landscape
from bench.gradients.offline import EPISODES, fixed_data
from bench.gradients.runner import result_path
from bench.records.references import References

TASK = DoubleIntegrator(num_steps=4)


def test_only_the_first_control_is_random():
    us = np.asarray(eqx.filter_jit(fixed_data)(TASK, jr.key(0)).us)
    low, high = (np.asarray(bound) for bound in TASK.bounds)
    assert us.shape == (EPISODES, 4, 1)
    assert np.all(us[:, 1:] == (low + high) / 2)
    assert us[:, 0].min() < low + 0.05 * (high - low)  # of 200 draws none below has a chance of 4e-5
    assert us[:, 0].max() > high - 0.05 * (high - low)


def test_a_method_draws_from_all_of_the_fixed_data():
    found = eqx.filter_jit(fixed_data)(TASK, jr.key(0))
    method, data = ModelGradient(OneStep).offline(TASK, found)
    assert np.array_equal(data.xs, found.xs)
    assert method.recent * method.episodes >= EPISODES  # the half of a batch that is new is any, too


def test_a_landscape_is_surveyed_under_models_of_the_fixed_data(tmp_path):
    """On copy, where the first control is all that counts, a model of it has nearly the true slope everywhere."""
    asked = landscape.Request("s", "copy", ("one_step_model",), 0, points=5, starts=2, updates=300, offline=True)
    (found,) = landscape.survey(asked, References.shipped())
    assert found.offline
    truth, model = (np.array(found.surface(name).gradients) for name in ("simulator", "one_step_model"))
    assert np.corrcoef(truth[2:, 0], model[2:, 0])[0, 1] > 0.9  # where the cost is no constant
    assert result_path(tmp_path, asked) != result_path(tmp_path, replace(asked, offline=False))
