"""Search for a method's best settings on the tuning tasks of a suite; every trial is a sweep of ordinary runs.

A journal keeps the trials and records keep the runs, so a search that is killed at any moment and started again goes on
where it was. Trial n has a sampler seeded with n, so its settings depend on the trials before it and on nothing else.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import registry
from bench.analysis.scores import clipped, scores
from bench.errors import UsageError, did_you_mean
from bench.method import AbstractMethod, Between
from bench.records.reference import over_starts
from bench.records.reference_file import FILE_NAME
from bench.records.references import References
from bench.records.tuning import Tuning
from bench.reference.lookup import complete, lookup_each
from bench.suite import Suite
from bench.sweep.job import Job, prepare

if TYPE_CHECKING:
    import optuna

Settings = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, and their score."""

    number: int
    settings: Settings
    score: float


def defaults(method: AbstractMethod) -> Settings:
    """Return the defaults of the settings that a method declares to be searched.

    Raises UsageError if a setting does not exist, or its default is not among the values to search.
    """
    settings, kind = registry.settings_of(method), type(method).__name__
    for name, values in method.search.items():
        if name not in settings:
            raise UsageError(did_you_mean(f"setting in the search space of {kind}:", name, settings))
        if settings[name] not in values:
            raise UsageError(f"search space of {kind}: the default {name}={settings[name]} is not in {values}.")
    return {name: settings[name] for name in method.search}


def search(
    method: str,
    suite: Suite,
    trials: int,
    seeds: int,
    folder: Path,
    run: Callable[[Sequence[Job]], bool],
) -> Iterator[Trial]:
    """Yield the trials of a method, the first with its defaults; those of an earlier search come first.

    `run` trains the jobs that it is given into records, and returns False if it was interrupted, which ends the search.
    Raises UsageError.
    """
    made = registry.method(method)
    if not made.search:
        raise UsageError(f"method '{method}' declares no search space: give its class a `search` (bench/method.py).")
    first = defaults(made)
    optuna = _optuna()
    study = _study(method, suite, seeds, [first, str(made.search)], folder)
    done = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
    for number, t in enumerate(done[:trials]):
        yield Trial(number, dict(t.params), float(t.value or 0.0))
    for number in range(len(done), trials):
        # The study never learns of a trial that was killed: it proposes the same settings again, and finds their runs.
        study.sampler = optuna.samplers.TPESampler(seed=number)
        if number == 0 and not study.get_trials(states=(optuna.trial.TrialState.WAITING,)):
            study.enqueue_trial(first)
        trial = study.ask()
        settings = {name: _suggest(trial, name, values) for name, values in made.search.items()}
        jobs = jobs_of(method, suite, seeds, folder, settings)
        if not run(jobs):
            return
        value = score(jobs)
        study.tell(trial, value)
        yield Trial(number, settings, value)


def jobs_of(method: str, suite: Suite, seeds: int, folder: Path, settings: Settings) -> list[Job]:
    """Return a job for each tuning task, with its references. Raises UsageError."""
    if not suite.tuning_tasks:
        raise UsageError(
            f"suite '{suite.name}' has no tuning_tasks: name some, other than its tasks, in a copy of its file."
        )
    given = {method: {name: str(value) for name, value in settings.items()}}
    tuning = replace(suite, name=f"{suite.name}-tuning", tasks=suite.tuning_tasks, tuning_tasks=())
    jobs = prepare(tuning.cells(methods=[method], seeds=seeds, extra=given), folder)
    known = References.beside(folder)
    for i, job in enumerate(jobs):
        known = complete(known, job.cell.task_label, job.task, folder / FILE_NAME)
        jobs[i] = replace(job, known=lookup_each(job.task, known))
        if over_starts(jobs[i].known).headroom is None:
            raise UsageError(f"tuning task '{job.cell.task}' has no headroom, so no scores: tune on another.")
    return jobs


def score(jobs: Sequence[Job]) -> float:
    """Return the mean over tasks and seeds of clipped scores; a run that did not finish counts -1."""
    found = [(job, job.stored.read().records) for job in jobs]
    return float(
        np.mean(
            [
                clipped(scores([records[seed] for seed in job.cell.seeds], over_starts(job.known)))
                for job, records in found
            ]
        )
    )


def result(method: str, suite: Suite, seeds: int, trials: Sequence[Trial], folder: Path) -> Tuning:
    """Return the result of a search, with the number of trials of every search for the method in `folder`.

    The earliest of equal scores is the best, so the defaults come before all.
    """
    best = max(trials, key=lambda trial: (trial.score, -trial.number))
    return Tuning(
        method=method,
        suite=suite.name,
        tasks=[*suite.tuning_tasks],
        seeds=seeds,
        trials=len(trials),
        default_score=trials[0].score,
        best_score=best.score,
        date=datetime.now(UTC).date().isoformat(),
        best=best.settings,
        searches={path.stem: _trials_in(path, method) for path in _journals(method, folder)},
    )


def _study(method: str, suite: Suite, seeds: int, searched: list[Any], folder: Path) -> "optuna.Study":
    """The study of exactly this search: it changes with the tasks, seeds, settings and search spaces."""
    optuna = _optuna()
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    parts = [[job.fingerprint, job.settings] for job in jobs_of(method, suite, seeds, folder, {})]
    digest = hashlib.sha256(json.dumps([parts, seeds, searched]).encode()).hexdigest()[:8]
    path = folder / "studies" / f"{_file_name(method)}-{digest}.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(storage=storage, study_name=method, direction="maximize", load_if_exists=True)


def _file_name(method: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else "_" for c in method)


def _journals(method: str, folder: Path) -> list[Path]:
    """The journals of all searches for a method: of other tasks, seeds, defaults and search spaces too."""
    return sorted((folder / "studies").glob(f"{_file_name(method)}-*.journal"))


def _trials_in(journal: Path, method: str) -> int:
    """The number of finished trials that a journal holds."""
    optuna = _optuna()
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    study = optuna.load_study(study_name=method, storage=JournalStorage(JournalFileBackend(str(journal))))
    return len(study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UsageError(f"tuning needs Optuna: pip install 'myriad-bench[tune]' ({error}).") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _suggest(trial: "optuna.Trial", name: str, values: Between | tuple) -> Any:
    if not isinstance(values, Between):
        return trial.suggest_categorical(name, values)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return trial.suggest_int(name, values.low, values.high, log=values.log)
    return trial.suggest_float(name, values.low, values.high, log=values.log)
