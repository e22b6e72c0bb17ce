"""Run the experiments of many claims together, look after look, so that what two claims need is computed once."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.claims.claim import SUITE, Claim, Experiment
from bench.claims.effects import Evidence
from bench.claims.known import KnownRuns
from bench.claims.sequential import LOOKS
from bench.claims.verdicts import Finding, judge
from bench.gradients import landscape, measure, snapshots
from bench.gradients.records import Landscape, Measurement
from bench.gradients.runner import Request, Runner
from bench.records.identity import is_unknown
from bench.records.run import RunRecord
from bench.sweep.job import Job, prepare

Methods = dict[str, set[str]]  # by experiment: the methods whose comparisons are still undecided


@dataclass
class Study:
    """Claims under test in one folder, with the runs that are known, and afterwards their findings."""

    claims: Sequence[Claim]
    experiments: Mapping[str, Experiment]
    folder: Path
    others: Sequence[Path]  # further folders of records
    known: KnownRuns = field(init=False)  # of the folder itself first
    _jobs: dict[str, list[Job]] = field(init=False)  # by experiment, with as many seeds as there are looks for

    def __post_init__(self):
        self.known = self._known_runs()
        cells = {name: self.experiments[name].cells(some, LOOKS[-1]) for name, some in self.undecided([]).items()}
        self._jobs = {name: [*map(self.known.compared, prepare(each, self.folder))] for name, each in cells.items()}

    def _known_runs(self) -> KnownRuns:
        return KnownRuns.of([self.folder, *self.others])

    def jobs(self, wanted: Methods, seeds: int) -> list[Job]:
        """The training runs that experiments need of some methods, at the first `seeds` seeds."""
        return [
            replace(job, cell=replace(job.cell, seeds=tuple(range(seeds))))
            for name, methods in wanted.items()
            for job in self._jobs[name]
            if job.cell.method_label in methods
        ]

    def missing(self, jobs: Iterable[Job]) -> list[Job]:
        """The jobs, each once, with the seeds alone that are not known."""
        once = {job.lock: self.known.missing(job) for job in jobs}
        return [job for job in once.values() if job.todo]

    def undecided(self, findings: Sequence[Finding]) -> Methods:
        """The methods whose comparisons need more seeds; all methods of all claims before there are findings."""
        found = {finding.claim: finding for finding in findings}
        wanted: Methods = {}
        for claim in self.claims:
            decided = found[claim.name].those("better", "worse", "equivalent") if claim.name in found else []
            others = [other for other in claim.others if other not in decided]
            if others:
                wanted.setdefault(claim.experiment, set()).update((claim.subject, *others))
        return wanted

    def run(self, runner: Runner, max_seeds: int) -> list[Finding]:
        """Compute what is missing, look after look, until all is decided or `max_seeds` is reached; then judge.

        Known runs of further seeds count too. Raises UsageError.
        """
        findings: list[Finding] = []
        for seeds in LOOKS:
            wanted = self.undecided(findings)
            if not wanted or seeds > max_seeds or runner.interrupted:
                break
            for name in wanted:
                experiment = self.experiments[name]
                cells = experiment.policy_cells(seeds) if experiment.by else []
                policies = runner.train_with_snapshots(cells)
                runner.compute(requests(experiment, policies, seeds))
            missing = self.missing(self.jobs(wanted, seeds))
            if missing and not runner.interrupted:
                runner.train(missing)
                self.known = self._known_runs()
            findings = self.judged(runner.measurements(), runner.landscapes())
        return findings

    def judged(self, measurements: Sequence[Measurement], landscapes: Sequence[Landscape]) -> list[Finding]:
        """Judge all claims by the runs that are known by now, and by these diagnostics."""
        known = {
            name: [run for job in jobs for run in self.known.of_job(job, job.cell.seeds)]
            for name, jobs in self._jobs.items()
        }
        runs = {name: [run for run, _ in found] for name, found in known.items()}
        evidence = Evidence(runs, self.known.references().by_fingerprint(), measurements, landscapes)
        return [
            replace(
                judge(claim, self.experiments[claim.experiment], evidence),
                sources=_sources(claim, known.get(claim.experiment, []), self.folder),
            )
            for claim in self.claims
        ]


def requests(experiment: Experiment, policies: Sequence[Job], seeds: int) -> Iterator[Request]:
    """The diagnostics of an experiment; `policies` are the training runs whose policies it looks at."""
    if experiment.kind == "gradients":
        for job in policies:
            path = snapshots.snapshot_path(job, experiment.policy)
            models, horizons, updates = experiment.models, experiment.horizons, experiment.updates
            yield measure.Request(SUITE, path, experiment.policy, models, horizons, updates, experiment.offline)
    elif experiment.kind == "landscapes":
        (updates,) = experiment.updates
        for task, seed in itertools.product(experiment.tasks, range(seeds)):
            yield landscape.Request(SUITE, task, experiment.models, seed, updates=updates, offline=experiment.offline)


def _sources(claim: Claim, known: Sequence[tuple[RunRecord, Path]], folder: Path) -> list[str]:
    """Where the runs of a claim come from: their number by folder, with a mark on runs whose code nobody knows."""
    names = {claim.subject, *claim.others}
    counts = Counter((where, is_unknown(run)) for run, where in known if run.method in names)
    return [
        f"{n} runs of {'this folder' if where == folder else where.name}"
        + ", of unknown code (older than fingerprints of methods)" * unknown
        for (where, unknown), n in counts.items()
    ]
