"""Who is told what happens in a sweep."""

import abc
from collections.abc import Sequence

from bench.records.run import RunRecord
from bench.sweep.job import Job
from bench.training.train import Evaluation


class AbstractObserver(abc.ABC):
    """Told what happens in a sweep."""

    @abc.abstractmethod
    def skip(self, job: Job) -> None:
        """Another run on the same folder has done it."""

    @abc.abstractmethod
    def begin(self, job: Job) -> None: ...

    @abc.abstractmethod
    def update(self, job: Job, evaluation: Evaluation) -> None: ...

    @abc.abstractmethod
    def end(self, job: Job, records: Sequence[RunRecord]) -> None: ...

    @abc.abstractmethod
    def say(self, text: str) -> None:
        """Something that a reader must know."""


class Silent(AbstractObserver):
    """Says nothing."""

    def skip(self, job):
        pass

    def begin(self, job):
        pass

    def update(self, job, evaluation):
        pass

    def end(self, job, records):
        pass

    def say(self, text):
        pass
