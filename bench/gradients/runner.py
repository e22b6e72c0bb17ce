"""Training runs, and diagnostics computed from them: on any executor, each result kept in a file, none made twice."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Future, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.gradients import landscape, measure, records, snapshots
from bench.gradients.records import Landscape, Measurement
from bench.machine import locks
from bench.records.files import RecordError, set_aside
from bench.records.references import References
from bench.suite import Cell
from bench.sweep import status
from bench.sweep.execute import execute
from bench.sweep.executors import InProcess
from bench.sweep.job import Job
from bench.sweep.observer import AbstractObserver
from bench.sweep.schedule import Backend, Sweep
from bench.training.train import Evaluation

Request = measure.Request | landscape.Request
Results = Sequence[Measurement] | Sequence[Landscape]


@dataclass(frozen=True)
class Diagnostic:
    """One kind of request: how its results are computed and read, and the folder that keeps them."""

    folder: str
    compute: Callable[[Any, References], Results]
    read: Callable[[Path], Results]


DIAGNOSTICS: dict[type, Diagnostic] = {
    measure.Request: Diagnostic("gradients", measure.measure, records.read_measurements),
    landscape.Request: Diagnostic("landscapes", landscape.survey, records.read_landscapes),
}


def result_path(folder: Path, request: Request) -> Path:
    """The file of the results of a request in a folder."""
    # A snapshot's name has all that defines its run. The folder that it lies in is no part of the key.
    key = {name: value.name if isinstance(value, Path) else value for name, value in asdict(request).items()}
    if not request.offline:
        del key["offline"]  # a key as it was before there was a choice
    subject = request.snapshot.stem if isinstance(request, measure.Request) else f"{request.task}-seed{request.seed}"
    return folder / DIAGNOSTICS[type(request)].folder / f"{records.file_name(subject, key)}.json"


@dataclass
class Runner:
    """Runs and diagnostics in one folder. A failure is reported at once and counted; the rest goes on."""

    folder: Path
    backend: Backend
    observer: AbstractObserver
    failed: int = 0
    interrupted: bool = False
    results: dict[Path, Results] = field(default_factory=dict)

    def train(self, jobs: Sequence[Job]) -> None:
        """Train jobs as ordinary runs."""
        self._sweep(jobs, self.backend)

    def train_with_snapshots(self, cells: Iterable[Cell]) -> list[Job]:
        """Train cells and keep snapshots of their states; the jobs, one for each seed. Raises UsageError."""
        jobs = snapshots.prepare_with_snapshots(cells, self.folder)
        call = snapshots.execute_with_snapshots
        if isinstance(self.backend.executor, InProcess):
            call = partial(execute, observe=self._keep_snapshot, stop=self.backend.stop)
        self._sweep(jobs, replace(self.backend, call=call))
        return jobs

    def compute(self, requests: Iterable[Request]) -> None:
        """Compute and keep what has no file yet. Afterwards `results` holds everything that was asked for."""
        references = References.beside(self.folder)
        futures: dict[Future[None], Request] = {}
        for request in requests:
            if self.interrupted or self.backend.stop():
                break
            diagnostic, path = DIAGNOSTICS[type(request)], result_path(self.folder, request)
            self.results[path] = ()  # tables and figures follow the requests, not which worker ends first
            try:
                self.results[path] = diagnostic.read(path)
            except (FileNotFoundError, RecordError) as error:
                if isinstance(error, RecordError):
                    self.observer.say(f"{error} {set_aside(path)}.")
                future = self.backend.executor.submit(
                    _compute_and_keep, diagnostic, request, references, path, self._lock(path)
                )
                futures[future] = request
                if future.done():  # an executor that works in this very thread
                    self._collect(future, futures.pop(future))
        for future in as_completed(futures):
            if self.backend.stop():
                for other in futures:
                    other.cancel()
            self._collect(future, futures[future])
        self.interrupted = self.interrupted or self.backend.stop()

    def _collect(self, future: "Future[None]", request: Request) -> None:
        """Read the results of a request that has ended, or report its failure."""
        path = result_path(self.folder, request)
        try:
            future.result()
            self.results[path] = DIAGNOSTICS[type(request)].read(path)
            self.observer.say(_description(request))
        except CancelledError:
            pass
        except Exception as error:  # whatever a model does, the others are measured
            self.failed += 1
            self.observer.say(f"failed: {_description(request)}: {type(error).__name__}: {error}")

    def measurements(self) -> list[Measurement]:
        """All measurements that were asked for."""
        return [each for group in self.results.values() for each in group if isinstance(each, Measurement)]

    def landscapes(self) -> list[Landscape]:
        """All landscapes that were asked for."""
        return [each for group in self.results.values() for each in group if isinstance(each, Landscape)]

    def _keep_snapshot(self, job: Job, evaluation: Evaluation) -> None:
        snapshots.keep_snapshot(job, evaluation)
        self.observer.update(job, evaluation)

    def _sweep(self, jobs: Sequence[Job], backend: Backend) -> None:
        with suppress(OSError):  # then `bench status` does not know of these runs
            status.add_to_plan(self.folder, [job.planned() for job in jobs])
        sweep = Sweep(backend, self.observer)
        sweep.run(jobs)
        self.failed += len(sweep.failed) + len(sweep.unstored)
        self.interrupted = self.interrupted or sweep.interrupted
        for job, record in sweep.failed:
            last = record.error.strip().splitlines()[-1]
            self.observer.say(f"failed: {job.cell.task_label}  {job.cell.method_label}  seed {record.seed}: {last}")

    def _lock(self, path: Path) -> Path:
        return self.folder / "locks" / f"{path.stem}.lock"


def _compute_and_keep(diagnostic: Diagnostic, request: Request, references: References, path: Path, lock: Path) -> None:
    with locks.hold(lock):  # another run on this folder may be computing the same
        if not path.exists():
            records.write_results(path, diagnostic.compute(request, references))


def _description(request: Request) -> str:
    if isinstance(request, measure.Request):
        return f"gradients at {request.snapshot.stem}"
    return f"landscape of {request.task}, seed {request.seed}"
