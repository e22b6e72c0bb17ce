"""What the figures show, read off their curves, and the commands that draw them."""

import math
import re
import sys
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app, gallery
from bench.errors import UsageError
from bench.reference import lookup
from bench.reference.controls import control_sequence
from bench.reference.episodes import simulate_controls
from bench.report import episode_figure
from tasks import TASKS

ROOT = Path(__file__).parents[2]


def show(*arguments):
    """The lines printed; a UsageError is raised as it is."""
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if done.exception:
        raise done.exception
    return done.output.splitlines()


def episode(task, control, seed=0):
    return simulate_controls(task, control_sequence(control, "task", task, None, seed))


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_panel_for_each_variable_and_one_for_the_cost(name):
    task = TASKS[name]()
    trajectory = episode(task, "random")
    figure = episode_figure.episode_figure(task, trajectory, name)
    variables = (*task.states, *task.controls)
    titles = [v.name if v.unit == "1" else f"{v.name} ({v.unit.replace('mm3', 'mm³')})" for v in variables]
    panels = {axis.get_title(loc="left"): axis for axis in figure.axes}
    assert sorted(panels) == sorted([*titles, "accumulated cost"])
    for state, title, values in zip(task.states, titles, trajectory.xs.T, strict=False):
        times, drawn = panels[title].lines[0].get_data()
        np.testing.assert_array_equal(drawn, values)
        assert (times[0], times[-1]) == (0.0, task.horizon)
        bands = [(band.get_y(), band.get_y() + band.get_height()) for band in panels[title].patches]
        ranges = [(state.low, state.high)] if math.isfinite(state.high - state.low) else []
        np.testing.assert_allclose(bands, ranges, atol=1e-9 * (state.high - state.low))  # kept as height: rounding
        marks = [line.get_data() for line in panels[title].lines if line.get_marker() == "D"]
        assert len(marks) == (not math.isnan(state.target))
        for (time,), (height,) in marks:
            turns = (height - state.target) / (state.period or 1)
            assert time == task.horizon
            assert turns == pytest.approx(round(turns) if state.period else 0, abs=1e-9)  # a whole number, rounded
    for control, title, values in zip(task.controls, titles[len(task.states) :], trajectory.us.T, strict=True):
        np.testing.assert_array_equal(panels[title].patches[0].get_data().values, values)
        assert [line.get_ydata()[0] for line in panels[title].lines] == [control.low, control.high]
    total = panels["accumulated cost"].lines[0].get_ydata()
    np.testing.assert_allclose(total[1:-1], np.cumsum(trajectory.costs))  # the same float64 sum
    assert total[-1] == trajectory.cost
    lowest = {axis.get_xlabel() for axis in figure.axes} - {""}
    assert lowest == {"time" if task.time_unit == "1" else f"time ({task.time_unit})"}


def test_an_angle_is_shown_with_the_target_at_the_nearest_turn():
    task = TASKS["pendulum"]()
    trajectory = episode(task, "random")
    xs = trajectory.xs.copy()
    xs[-1, 0] = -3.0
    trajectory = eqx.tree_at(lambda t: t.xs, trajectory, xs)
    axis = episode_figure.episode_figure(task, trajectory, "").axes[0]
    assert axis.lines[1].get_ydata()[0] == pytest.approx(-math.pi)  # not π, where the same target is far away


def test_states_that_are_not_finite_are_drawn_as_far_as_they_are():
    task = TASKS["cartpole"]()
    trajectory = episode(task, "random")
    trajectory = eqx.tree_at(lambda t: t.xs, trajectory, np.where(np.arange(101)[:, None] < 3, trajectory.xs, np.inf))
    episode_figure.episode_figure(task, trajectory, "").draw_without_rendering()


def test_show_draws_the_best_known_control_and_says_its_cost_and_score(tmp_path, monkeypatch):
    titles = []
    draw = episode_figure.episode_figure

    def drawn(task, trajectory, title):
        titles.append(title)
        return draw(task, trajectory, title)

    monkeypatch.setattr(episode_figure, "episode_figure", drawn)
    monkeypatch.chdir(tmp_path)
    assert show("show", "cancer_treatment") == ["cancer_treatment.png"]
    with Image.open("cancer_treatment.png") as image:
        assert min(image.size) > 500
    show("show", "cancer_treatment", "--control", "constant", "--out", "b.svg")
    known = lookup.lookup(TASKS["cancer_treatment"]())
    assert titles == [
        f"cancer_treatment, best control: cost {known.best:.6g}, score 1.000",
        f"cancer_treatment, constant control: cost {known.floor:.6g}, score 0.000",
    ]


@pytest.mark.parametrize("suffix", [".csv", ".npy"])
def test_show_draws_a_control_from_a_file(tmp_path, suffix):
    task = TASKS["rocket_landing"](num_steps=3)
    us = np.array([[0.5, 0.1], [0.75, 0.2], [1.0, 0.3]])
    file = tmp_path / f"control{suffix}"
    np.save(file, us) if suffix == ".npy" else np.savetxt(file, us, delimiter=",")
    np.testing.assert_array_equal(simulate_controls(task, control_sequence(str(file), "", task, None, 0)).us, us)
    out = tmp_path / "out.png"
    show("show", "rocket_landing", "--control", file, "--set", "rocket_landing.num_steps=3", "--out", out)
    assert out.exists()
    with pytest.raises(UsageError, match=r"100 rows \(steps\) of 2 numbers \(controls\), got shape \(3, 2\)"):
        show("show", "rocket_landing", "--control", file, "--out", out)


def test_random_controls_fill_the_bounds_and_follow_the_seed():
    task = TASKS["rocket_landing"]()
    low, high = task.bounds
    first, again, other = (control_sequence("random", "", task, None, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.any(first == other)
    # 100 uniform draws leave more than a fifth of the range free at one end with probability 2 * 0.8**100 < 1e-9.
    assert np.all((first.min(0) >= low) & (first.min(0) < low + 0.2 * (high - low)))
    assert np.all((first.max(0) <= high) & (first.max(0) > high - 0.2 * (high - low)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["harvst"], "Did you mean 'harvest'"),
        (["harvest", "--control", "bets"], "--control is best, constant, random, or a .csv or .npy file of 100 rows"),
        (["harvest", "--control", "nowhere.csv"], "nowhere.csv not found"),
        (["harvest", "--set", "harvest.num_steps=7"], "no stored reference for harvest with these settings"),
        (["harvest", "--set", "harvst.num_steps=7"], "Did you mean 'harvest'"),
        (["harvest", "--out", "nowhere/a.png"], "cannot write nowhere/a.png"),
        (["harvest", "--out", "a.wrong"], "cannot write a.wrong"),
    ],
)
def test_wrong_use_says_what_to_do(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as error:
        show("show", *arguments)
    assert message in str(error.value)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'myriad-bench\[plot\]'"):
        show("show", "harvest")


def test_the_page_of_tasks_has_the_table_of_all():
    text = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    shown = text.partition(gallery.BEGIN)[2].partition(gallery.END)[0]
    assert shown == gallery.table(), "run `python -m bench gallery`"
    rows = shown.splitlines()[2:]
    assert [row.split("](")[0].removeprefix("| [") for row in rows] == list(TASKS)
    sources = {gallery.source(task()) for task in TASKS.values()}
    assert "Ledzewicz & Schättler, SIAM J. Control Optim. 46 (2007) 1052-1079" in sources
    assert all(re.search(r"\d", text) for text in sources)  # a year or a page: not empty


def test_every_task_has_a_small_thumbnail_and_nothing_else_has():
    files = sorted((ROOT / gallery.THUMBNAILS).iterdir())
    assert [file.name for file in files] == sorted(f"{name}.png" for name in TASKS)
    for file in files:
        with Image.open(file) as image:
            assert image.size == (240, 160)
        assert file.stat().st_size < 12_000


def test_gallery_writes_only_between_its_marks(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.registry.TASKS", {"harvest": TASKS["harvest"]})
    page = tmp_path / "docs" / "tasks.md"
    page.parent.mkdir()
    page.write_text(f"before\n{gallery.BEGIN}old\n{gallery.END}\nafter\n")
    show("gallery", page)
    assert page.read_text() == f"before\n{gallery.BEGIN}{gallery.table()}{gallery.END}\nafter\n"
    assert "[harvest](../tasks/harvest.py) | 1 | 1 | 10 | 100 | Lenhart & Workman" in page.read_text()
    assert (tmp_path / gallery.THUMBNAILS / "harvest.png").exists()
    page.write_text("no marks")
    with pytest.raises(UsageError, match="no place for the table"):
        show("gallery", page)


def test_figures_need_no_double_precision_default():
    assert not jax.config.read("jax_enable_x64")
    assert simulate_controls(TASKS["harvest"](), np.full((100, 1), 0.5)).xs.dtype == np.float64


def test_an_unstable_optimum_is_drawn_as_it_is_and_not_as_its_controls_replay():
    task = TASKS["pendulum"]()
    known = lookup.lookup(task)
    best = control_sequence("best", "pendulum", task, known, 0)
    assert float(simulate_controls(task, best, known.states).cost) == pytest.approx(known.best, rel=1e-6)  # ten digits
    assert float(simulate_controls(task, best).cost) > 2 * known.best
