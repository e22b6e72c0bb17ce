"""What testing claims would run, and how long that takes: look after look, as far as it can be foretold."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from bench.claims.experiments import Study, requests
from bench.claims.sequential import LOOKS
from bench.gradients import snapshots
from bench.gradients.runner import result_path
from bench.sweep.forecast import duration_in_words
from bench.sweep.job import Job


class PlanLine(NamedTuple):
    """What one experiment runs for one look, in words, and its seconds on one core; None where no run is known."""

    text: str
    seconds: float | None


def plan(study: Study, max_seeds: int) -> Iterator[PlanLine]:
    """Plan every look up to `max_seeds`.

    Looks after the first take all that known runs leave undecided. This is an upper bound: the first look may decide.
    """
    planned: set[tuple[str, int]] = set()  # the lock's name and the seed of each run
    wanted = study.undecided([])
    for seeds in (n for n in LOOKS if n <= max_seeds):
        for name, methods in wanted.items():
            experiment = study.experiments[name]
            jobs = study.jobs({name: methods}, seeds)
            todo = [_without(job, planned) for job in study.missing(jobs)]
            runs = sum(len(job.todo) for job in todo)
            planned |= {(job.lock.name, seed) for job in todo for seed in job.todo}
            cells = experiment.policy_cells(seeds) if experiment.by else []
            policies = snapshots.prepare_with_snapshots(cells, study.folder)
            asked = list(requests(experiment, policies, seeds))
            files = sum(not result_path(study.folder, request).exists() for request in asked)
            todo += [job for job in policies if job.todo]
            known = [study.known.seconds(job) for job in todo if job.todo]
            seconds = None if None in known or files else sum(s for s in known if s is not None)
            total = sum(len(job.cell.seeds) for job in jobs)
            parts = [f"{total} runs, {runs} to do"] if jobs else []
            parts += [f"{len(policies)} policies, {sum(bool(p.todo) for p in policies)} to train"] if policies else []
            parts += [f"{len(asked)} diagnostics, {files} to compute"] if asked else []
            yield PlanLine(f"{name}, {seeds} seeds: {'; '.join(parts)}, {duration_in_words(seconds)}", seconds)
        wanted = study.undecided(study.judged([], []))


def _without(job: Job, planned: set[tuple[str, int]]) -> Job:
    """The job without the seeds that are planned already."""
    return replace(job, todo=tuple(seed for seed in job.todo if (job.lock.name, seed) not in planned))
