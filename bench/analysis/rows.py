"""The row types of a leaderboard's tables: one NamedTuple a table, whose fields are its columns. No JAX here.

A number is nan, and a value None, where it does not exist or was not measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args, get_type_hints

from bench.records.run import Kind

if TYPE_CHECKING:
    import pandas as pd


class TaskRow(NamedTuple):
    """One method on one task and grid: a line of `leaderboard.csv`.

    suite, task, num_steps, method: the cell; `num_steps` is the number of control intervals of the grid
    seeds: number of runs
    failed: number of runs that failed or diverged
    cost: mean cost of the runs that finished, in the task's own unit
    score: unclipped mean score of the runs that finished; 0 is the floor, 1 the best known cost
    clipped: mean over all runs of the score clipped to [-1, 1], which is -1 for a run that did not finish
    decades: mean over all runs of -log10 of the share of the headroom that the clipped score leaves, at least 1e-4
    *_low, *_high: ends of the 95 % interval of the number before them; nan for fewer than 5 runs
    clipped_best, decades_best: whether the method may be the best of the task; False where it is not ranked
    auc: mean over all runs of the area under the clipped learning curve, over the budget of environment steps
    auc_updates, auc_seconds: the same area over gradient updates, and over seconds of training
    cost_gap: largest relative change of a run's cost when its policy is scored again; inf where an episode was lost
    cost_gaps: number of runs whose change is marked as too large
    end_miss: largest miss of an end-state target, in units of the state's range; inf where an episode was lost
    end_misses: number of runs whose miss is marked as too large
    violation: largest violation of a constraint, in units of its range; inf where an episode was lost
    violations: number of runs whose violation is marked as too large
    env_steps: mean number of environment steps that a run spent
    acting_env_steps: steps that the policy simulates to act in one judged episode; 0 unless it is a planner's
    train_seconds, compile_seconds: mean seconds of training, and of compilation, of a run
    bound: whether score 1 is a bound, the best known cost without the noise of the task
    """

    suite: str
    task: str
    num_steps: int
    method: str
    seeds: int
    failed: int
    cost: float
    score: float
    score_low: float
    score_high: float
    clipped: float
    clipped_low: float
    clipped_high: float
    clipped_best: bool
    decades: float
    decades_low: float
    decades_high: float
    decades_best: bool
    auc: float
    auc_updates: float
    auc_seconds: float
    cost_gap: float
    cost_gaps: int | None
    end_miss: float
    end_misses: int | None
    violation: float
    violations: int | None
    env_steps: int
    acting_env_steps: int
    train_seconds: float
    compile_seconds: float
    bound: bool = False


class AggregateRow(NamedTuple):
    """One method over all tasks of a suite that have headroom: a line of `aggregate.csv`.

    Scores here are clipped to [-1, 1], and -1 for a run that did not finish. Every task has the same weight.

    suite, method: what the line is about
    kind: "learner"; "planner", which simulates the task in order to act; or "oracle", which simulates uncharged
    rank: 1 + the number of ranked methods of its kind with a larger `score`; None, as all below, for a method that is
        not ranked: an oracle, and one that lacks a task or has fewer than 5 runs on one
    rank_low, rank_high: ends of the 95 % interval of the rank
    letters: one for each group of methods that no test separates, to which the method belongs
    trials: number of settings that all searches tried before the one that ran was chosen; 0 where there was no tuning
    tasks: number of tasks, each on every grid
    seeds: the smallest number of runs on a task
    failed: number of runs that failed or diverged
    score: interquartile mean of the scores over tasks and seeds
    mean: mean over the tasks of the mean score over seeds
    *_low, *_high: ends of the 95 % interval of the number before them; nan for fewer than 5 runs on a task
    won: number of tasks, each on every grid, where no ranked method has a higher mean score; None if not ranked
    auc, auc_updates, auc_seconds: mean areas under the learning curves, as in TaskRow
    cost_gaps, end_misses, violations: numbers of runs that are marked, as in TaskRow
    """

    suite: str
    method: str
    kind: Kind
    rank: int | None
    rank_low: int | None
    rank_high: int | None
    letters: str
    trials: int
    tasks: int
    seeds: int
    failed: int
    score: float
    score_low: float
    score_high: float
    mean: float
    mean_low: float
    mean_high: float
    won: int | None
    auc: float
    auc_updates: float
    auc_seconds: float
    cost_gaps: int | None
    end_misses: int | None
    violations: int | None


class PairRow(NamedTuple):
    """One ordered pair of ranked methods of one kind, over the tasks that both were run on.

    suite: the suite that both were run in
    method, other: the two methods
    probability: chance that a run of `method` scores above one of `other`
    low, high: ends of its 95 % interval; nan for fewer than 5 runs on a task
    p_value: of the difference of their interquartile means, corrected for the number of pairs (Holm)
    """

    suite: str
    method: str
    other: str
    probability: float
    low: float
    high: float
    p_value: float


class CurvePoint(NamedTuple):
    """One evaluation of a learning curve, over the runs of a cell.

    suite, task, horizon, num_steps, method: the cell; `horizon` is in the task's unit of time
    env_steps, updates, train_seconds: what a run had spent: environment steps, gradient updates (nan in older
        records), seconds of training
    score: mean clipped score
    low, high: ends of its 95 % interval; nan for fewer than 5 runs
    """

    suite: str
    task: str
    horizon: float
    num_steps: int
    method: str
    env_steps: int
    updates: float
    train_seconds: float
    score: float
    low: float
    high: float


class ProfilePoint(NamedTuple):
    """One point of a performance profile.

    suite, method: whose profile it is
    threshold: a clipped score
    share: share of the method's runs with a score above it
    low, high: ends of the pointwise 95 % interval of the share; nan for fewer than 5 runs on a task
    """

    suite: str
    method: str
    threshold: float
    share: float
    low: float
    high: float


class TargetPoint(NamedTuple):
    """One point of the curve that says how soon a method reaches the regret targets.

    suite, method: whose curve it is
    unit: what is counted: "env_steps", "updates" or "train_seconds"
    spent: how much of it a run had spent
    share: share of (run, regret target) pairs reached by then
    """

    suite: str
    method: str
    unit: str
    spent: float
    share: float


class RunRow(NamedTuple):
    """One record with its provenance.

    suite, task, horizon, num_steps, method, seed: the run; `horizon` is in the task's unit of time
    status: "ok", "diverged" or "failed"
    cost: final cost, in the task's own unit
    score: unclipped score
    auc: area under the clipped learning curve over the budget of environment steps
    env_steps, train_seconds, cpu_seconds: environment steps, and wall and CPU seconds of training, that the run spent;
        CPU seconds are nan on a GPU and in older records
    cost_gap, end_miss, violation: the run's own, as in TaskRow
    version, commit, dirty, device, precision, started: what made the record, on what, and when
    settings: every field of the task, the method and the budget
    error: the message of a failed run, else empty
    """

    suite: str
    task: str
    horizon: float
    num_steps: int
    method: str
    seed: int
    status: str
    cost: float
    score: float
    auc: float
    env_steps: int
    train_seconds: float
    cpu_seconds: float
    cost_gap: float
    end_miss: float
    violation: float
    version: str | None
    commit: str | None
    dirty: bool | None
    device: str | None
    precision: str | None
    started: str | None
    settings: dict[str, Any]
    error: str


Row = TypeVar("Row", TaskRow, AggregateRow, PairRow, CurvePoint, ProfilePoint, TargetPoint, RunRow)


def to_frame(kind: type[Row], rows: Iterable[Row]) -> pd.DataFrame:
    """A table of `rows`; counts that may be missing stay whole numbers."""
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(kind._fields))
    counts = [name for name, hint in get_type_hints(kind).items() if hint == int | None]
    return frame.astype(dict.fromkeys(counts, "Int64"))


def from_frame(kind: type[Row], frame: pd.DataFrame) -> list[Row]:
    """The rows of a table that `to_frame` made, in the table's order; None where pandas has its own missing value."""
    columns = {name: frame[name].tolist() for name in kind._fields}
    for name, hint in get_type_hints(kind).items():
        if type(None) in get_args(hint):
            missing = frame[name].isna()
            columns[name] = [None if m else value for m, value in zip(missing, columns[name], strict=True)]
    return [kind._make(values) for values in zip(*columns.values(), strict=True)]
