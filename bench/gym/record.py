"""Agents of other libraries on the leaderboard.

    with record("cartpole", suite="core", method="skrl_sac", seed=0, act=agent, framework="skrl") as env:
        train(env, steps=env.left)

The environment counts steps and stops at the suite's budget. It judges the agent when the suite says so, and leaves an
ordinary record in the folder of results.
"""

import json
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from bench import suite as suites
from bench.errors import UsageError
from bench.gym.agent import job_of
from bench.gym.environments import TaskEnv
from bench.gym.judge import Act, Judge
from bench.machine import locks
from bench.machine.cpu_time import cpu_seconds
from bench.records.files import RecordError, read_text, write_atomically
from bench.records.reference_file import FILE_NAME, read_references
from bench.records.references import References
from bench.records.run import run_name
from bench.reference.lookup import complete, lookup_each
from bench.sweep.job import Job
from bench.sweep.to_records import to_records
from bench.training.train import Evaluation

PROGRESS = "progress.json"
MAX_BYTES = 10**8  # of the progress of a run


class BudgetSpent(RuntimeError):  # noqa: N818, it ends a training as it should
    """The suite's budget is spent: the run is recorded, and there is nothing left to train."""


def record(
    task: str,
    suite: str,
    method: str,
    seed: int,
    act: Act,
    framework: str = "",
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    num_steps: int | None = None,
    physical_units: bool = False,
    save: Callable[[Path], Any] | None = None,
    load: Callable[[Path], Any] | None = None,
) -> "RecordedEnv":
    """Return an environment of a suite's task that puts an agent on the suite's leaderboard.

    Args:
        suite: a shipped suite, or the path of a TOML file; it decides budget, evaluations, starts and noise.
        method: the agent's name on the leaderboard.
        act: the agent without exploration, from an observation "n + 1" to an action "m". It is judged when the suite
            says so, and may be the same function all the time: it is first called in the first step.
        framework: the name of the installed package that trains, whose version is added, or any text.
        settings: the agent's hyperparameters, as values of JSON; runs with others are not pooled.
        out: the folder of results; by default results/<suite>, like `bench run`.
        num_steps: which grid, in a suite that has several.
        save, load: write the agent to a path, and read it. With both, a run that was interrupted goes on from its last
            evaluation.

    A run of that seed that is recorded already leaves nothing to do: `left` is 0. Raises UsageError for a task, suite,
    name or grid that does not fit, and where another process records the same run.
    """
    folder = Path("results") / suites.load(suite).name if out is None else Path(out)
    job = job_of(task, suite, method, seed, framework, settings or {}, folder, num_steps)
    try:
        lock = locks.acquire(job.lock)
    except OSError as error:
        warnings.warn(f"no lock in {folder} ({error.strerror}): do not record a run twice at once", stacklevel=2)
        lock = None
    else:
        if lock is None:
            raise UsageError(f"another process records {method} on {task}, seed {seed}, in {folder}.")
    try:
        path = folder / FILE_NAME
        known = References.shipped().updated(read_references(path).values())
        job = replace(job, known=lookup_each(job.task, complete(known, task, job.task, path))).refreshed()
        return RecordedEnv(TaskEnv(job.task, physical_units), job, lock, act, save, load)
    except BaseException:
        if lock:
            lock.release()
        raise


class RecordedEnv(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """An environment that counts its steps, judges an agent, and records the run. `record` makes it.

    Closing it, or leaving its `with`, lets others record the run.
    """

    def __init__(
        self,
        env: TaskEnv,
        job: Job,
        lock: locks.Lock | None,
        act: Act,
        save: Callable[[Path], Any] | None,
        load: Callable[[Path], Any] | None,
    ):
        super().__init__(env)
        self._job, self._lock, self._act, self._save = job, lock, act, save
        self._judge = Judge(job.task, env.physical_units)
        self._points = job.budget.evaluation_points(job.method.usage(job.task)) if job.todo else [0]
        self._done, self._curve, self._seconds, self._cpu_seconds = 0, [], 0.0, 0.0
        self._started = datetime.now(UTC)
        if load and job.todo:
            self._resume(load)
        self._start_clock()

    @property
    def left(self) -> int:
        """The steps of the budget that are left."""
        return self._points[-1] - self._done

    def step(self, action: np.ndarray):
        if not self.left:
            raise BudgetSpent(f"the budget of {self._points[-1]} environment steps is spent, and the run is recorded.")
        if not self._curve:
            self._evaluate()
        result = self.env.step(action)
        self._done += 1
        if self._done in self._points:
            self._evaluate()
        return result

    def close(self) -> None:
        if self._lock:
            self._lock.release()
            self._lock = None  # released twice, it would delete the file of whoever holds the lock by then
        self.env.close()

    def _start_clock(self) -> None:
        self._began, self._cpu_began = time.perf_counter(), cpu_seconds()

    def _evaluate(self) -> None:
        """Judge the agent, off the clock, and leave a checkpoint; the last evaluation makes the record."""
        self._seconds += time.perf_counter() - self._began
        self._cpu_seconds += cpu_seconds() - self._cpu_began
        cost, end_error, violation = self._judge.scores(self._act)
        found = Evaluation(
            share=self._done / self._points[-1],
            env_steps=self._done,
            env_grad_steps=0,
            updates=0,
            train_seconds=self._seconds,
            compile_seconds=0.0,
            cost=np.array([cost]),
            end_error=np.array([end_error]),
            violation=np.array([violation]),
            cpu_seconds=self._cpu_seconds,
        )
        if not self.left:
            found = replace(found, final=self._judge.rescored(self._act).to_json(), program=self._job.program)
        self._curve.append(found)
        if self._save:
            self._checkpoint(self._save)
        if not self.left:
            self._store()
        self._start_clock()

    def _store(self) -> None:
        framework = self._job.settings["method"]["framework"]
        for each in to_records(self._job, self._curve, self._started, "", "budget"):
            marked = replace(each, provenance=each.provenance | {"external": framework})
            for note in self._job.stored.put([marked]):
                warnings.warn(note, stacklevel=4)
        shutil.rmtree(self._progress, ignore_errors=True)

    @property
    def _progress(self) -> Path:
        return self._job.folder / "checkpoints" / f"{run_name(self._job.key)}-seed{self._job.cell.seeds[0]}-external"

    def _checkpoint(self, save: Callable[[Path], Any]) -> None:
        """Save the agent beside the last one, then the curve that names it, then delete what no curve names."""
        agent, curve = f"agent-{self._done}", [each.to_json() for each in self._curve]
        progress = {"done": self._done, "agent": agent, "curve": curve}
        try:
            self._progress.mkdir(parents=True, exist_ok=True)
            save(self._progress / agent)
            write_atomically(self._progress / PROGRESS, json.dumps(progress))
            for path in self._progress.iterdir():
                if not path.name.startswith((agent, PROGRESS)):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:  # a full disk; the training is worth more than its checkpoint
            warnings.warn(
                f"no checkpoint could be written to {self._progress} ({error}); training goes on", stacklevel=4
            )

    def _resume(self, load: Callable[[Path], Any]) -> None:
        """Go on from the last checkpoint, if there is one that can be read; of a complete run, make the record."""
        try:
            saved = json.loads(read_text(self._progress / PROGRESS, MAX_BYTES))
            done, curve = saved["done"], [Evaluation.from_json(point) for point in saved["curve"]]
            if done not in self._points or [each.env_steps for each in curve] != self._points[: len(curve)]:
                raise ValueError("its evaluations are not those of this run")
            agent = self._progress / saved["agent"]
        except FileNotFoundError:
            return
        except (RecordError, OSError, ValueError, LookupError, TypeError) as error:
            warnings.warn(f"{self._progress} cannot be used ({error}); started afresh", stacklevel=4)
            return
        load(agent)  # what it raises is the user's to see
        self._done, self._curve = done, curve
        self._seconds, self._cpu_seconds = curve[-1].train_seconds, curve[-1].cpu_seconds or 0.0
        if not self.left:  # there was no room for its record
            self._store()
