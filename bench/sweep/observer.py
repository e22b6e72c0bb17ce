"""Observers, which are told what happens in a sweep."""

import abc
from collections.abc import Sequence

from bench.records.run import RunRecord
from bench.sweep.job import Job
from bench.training.train import Evaluation


class AbstractObserver(abc.ABC):
    """A listener to the events of a sweep."""

    @abc.abstractmethod
    def skip(self, job: Job) -> None:
        """Another run on the same folder has done a job that was to run."""

    @abc.abstractmethod
    def begin(self, job: Job) -> None:
        """A job is about to run."""

    @abc.abstractmethod
    def update(self, job: Job, evaluation: Evaluation) -> None:
        """A running job has a new evaluation, or still the last one."""

    @abc.abstractmethod
    def end(self, job: Job, records: Sequence[RunRecord]) -> None:
        """A job has ended with these records."""

    @abc.abstractmethod
    def say(self, text: str) -> None:
        """Tell the user something."""


class Silent(AbstractObserver):
    """An observer that tells nothing."""

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
