"""Training runs, and what is computed from them: on any executor, each result kept in a file, none made twice."""

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
from bench.records.files import RecordError
from bench.records.reference import References
from bench.suite import Cell
from bench.sweep import status
from bench.sweep.execute import execute
from bench.sweep.executors import InProcess
from bench.sweep.job import Job, prepare
from bench.sweep.observer import AbstractObserver
from bench.sweep.schedule import Backend, Sweep

Request = measure.Request | landscape.Request


@dataclass(frozen=True)
class Kind:
    """How requests of one type are computed and where the results are kept."""

    folder: str
    compute: Callable[[Any, References], Sequence[Any]]
    read: Callable[[Path], Sequence[Any]]


KINDS: dict[type, Kind] = {
    measure.Request: Kind("gradients", measure.measure, records.read_measurements),
    landscape.Request: Kind("landscapes", landscape.survey, records.read_landscapes),
}


@dataclass
class Runner:
    """Work on a folder of results. What failed is told at once and counted; the rest goes on."""

    folder: Path
    backend: Backend
    observer: AbstractObserver
    failed: int = 0
    interrupted: bool = False
    results: dict[Path, Sequence[Any]] = field(default_factory=dict)

    def train(self, cells: Iterable[Cell]) -> None:
        """Ordinary runs. Raises UsageError."""
        self._sweep(prepare(cells, self.folder), self.backend)

    def train_and_keep(self, cells: Iterable[Cell]) -> list[Job]:
        """Runs whose snapshots are kept; the jobs, one per seed. Raises UsageError."""
        jobs = snapshots.prepare_hosts(cells, self.folder)
        call = snapshots.execute_and_keep
        if isinstance(self.backend.executor, InProcess):
            call = partial(execute, observe=self._keep, stop=self.backend.stop)
        self._sweep(jobs, replace(self.backend, call=call))
        return jobs

    def compute(self, requests: Iterable[Request]) -> None:
        """Compute and keep what has no file yet; `results` holds everything that was asked for."""
        references = References.beside(self.folder)
        futures: dict[Future[None], Request] = {}
        for request in requests:
            if self.interrupted or self.backend.stop():
                break
            kind, path = KINDS[type(request)], self._path(request)
            try:
                self.results[path] = kind.read(path)
            except FileNotFoundError:
                call = self.backend.executor.submit(_perform, kind, request, references, path, self._lock(path))
                futures[call] = request
                if call.done():  # an executor that works in this very thread
                    self._take(call, futures.pop(call))
            except RecordError as error:
                self.failed += 1
                self.observer.say(str(error))
        for call in as_completed(futures):
            if self.backend.stop():
                for other in futures:
                    other.cancel()
            self._take(call, futures[call])
        self.interrupted = self.interrupted or self.backend.stop()

    def _take(self, call: "Future[None]", request: Request) -> None:
        """What became of a request."""
        path = self._path(request)
        try:
            call.result()
            self.results[path] = KINDS[type(request)].read(path)
            self.observer.say(_words(request))
        except CancelledError:
            pass
        except Exception as error:  # whatever a model does, the others are measured
            self.failed += 1
            self.observer.say(f"failed: {_words(request)}: {type(error).__name__}: {error}")

    def measurements(self) -> list[Measurement]:
        """All that were asked for."""
        return [m for group in self.results.values() for m in group if isinstance(m, Measurement)]

    def landscapes(self) -> list[Landscape]:
        """All that were asked for."""
        return [m for group in self.results.values() for m in group if isinstance(m, Landscape)]

    def _keep(self, job, evaluation):
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

    def _path(self, request: Request) -> Path:
        # A snapshot is named by all that defines its run; where its folder lies is none of it.
        key = {name: value.name if isinstance(value, Path) else value for name, value in asdict(request).items()}
        about = request.snapshot.stem if isinstance(request, measure.Request) else f"{request.task}-seed{request.seed}"
        return self.folder / KINDS[type(request)].folder / f"{records.file_name(about, key)}.json"

    def _lock(self, path: Path) -> Path:
        return self.folder / "locks" / f"{path.stem}.lock"


def _perform(kind: Kind, request: Request, references: References, path: Path, claim: Path) -> None:
    with locks.hold(claim):  # another run on this folder may be at it
        if not path.exists():
            records.write_results(path, kind.compute(request, references))


def _words(request: Request) -> str:
    if isinstance(request, measure.Request):
        return f"gradients at {request.snapshot.stem}"
    return f"landscape of {request.task}, seed {request.seed}"
