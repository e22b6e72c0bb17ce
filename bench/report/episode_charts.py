"""Charts of episodes: states, controls and accumulated cost of methods beside the best known control. No JAX here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.rows import TaskRow, from_frame
from bench.analysis.stats import Floats
from bench.analysis.trajectories import MedianTrajectory
from bench.report.chart import Chart, Series, grouped, unit_after


class Episodes(NamedTuple):
    """The episodes that the charts of one task and grid show.

    task: what the numbers mean: states, controls and horizon, as stored
    stored: methods with their episodes, as stored; the method is None for the best known control sequence
    """

    suite: str
    name: str
    num_steps: int
    task: Mapping[str, Any]
    stored: Sequence[tuple[str | None, Mapping[str, Any]]]

    @property
    def times(self) -> Floats:
        """Times of the knots, "knots"."""
        return np.linspace(0.0, self.task["horizon"], self.num_steps + 1)

    def chart(self, quantity: str, y_label: str, series: Iterable[Series], **drawn: Any) -> Chart:
        """A chart of one quantity against time."""
        return Chart(
            title=f"{self.name}: {quantity}",
            x_label=unit_after("time", self.task["time_unit"]),
            y_label=y_label,
            series=tuple(series),
            suite=self.suite,
            task=self.name,
            num_steps=self.num_steps,
            **drawn,
        )


def trajectories(board: Leaderboard) -> Iterator[Chart]:
    """Trajectories of the median run of each method beside the best known control sequence.

    Each task and grid has a chart for every state, for every control and for the accumulated cost. Methods that spend
    nothing, the floors, are left out where others are shown: their episodes are far from all others.
    """
    groups = grouped(board.trajectories, lambda each: (each.cell.suite, each.cell.task, each.cell.num_steps))
    still = {(r.suite, r.task, r.num_steps, r.method) for r in from_frame(TaskRow, board.rows) if not r.env_steps}
    for (suite, name, steps), group in groups.items():
        learners = [each for each in group if (suite, name, steps, each.cell.method) not in still]
        episodes = Episodes(suite, name, steps, group[0].stored["task"], _episodes(learners or group))
        yield from _state_charts(episodes)
        yield from _control_charts(episodes)
        yield _cost_chart(episodes)


def _episodes(group: Sequence[MedianTrajectory]) -> list[tuple[str | None, Mapping[str, Any]]]:
    """The best known episode first, so that it is drawn below all others; then that of each method."""
    best = next((each.stored["reference"] for each in group if each.stored["reference"]), None)
    known: list[tuple[str | None, Mapping[str, Any]]] = [(None, best)] if best else []
    return known + [(each.cell.method, each.stored["policy"]) for each in group]


def _state_charts(episodes: Episodes) -> Iterator[Chart]:
    for i, state in enumerate(episodes.task["states"]):
        series = [Series(method, episodes.times, np.array(e["states"])[:, i]) for method, e in episodes.stored]
        label = unit_after(state["name"], state["unit"])
        yield episodes.chart(state["name"], label, series, target=state["target"])


def _control_charts(episodes: Episodes) -> Iterator[Chart]:
    for i, control in enumerate(episodes.task["controls"]):
        values = [(method, np.array(e["controls"])[:, i]) for method, e in episodes.stored]
        series = [Series(method, episodes.times, np.append(us, us[-1])) for method, us in values]
        yield episodes.chart(control["name"], unit_after(control["name"], control["unit"]), series, held=True)


def _cost_chart(episodes: Episodes) -> Chart:
    """The running cost summed up; the terminal cost is a jump at the end."""
    times = np.append(episodes.times, episodes.times[-1])
    costs = [(method, np.array([0.0, *np.cumsum(e["costs"]), e["cost"]])) for method, e in episodes.stored]
    series = [Series(method, times, values) for method, values in costs]
    return episodes.chart("accumulated cost", "accumulated cost", series)
