"""Does a job mean the same in this process as in the one that sent it? A worker refuses to run other mathematics."""

from bench.machine.provenance import environment
from bench.records.identity import environment_difference
from bench.reference.fingerprint import fingerprint
from bench.sweep.code_hashes import code_hash
from bench.sweep.job import Job
from bench.training.programs import method_fingerprint


class UnsureError(Exception):
    """The code of a job differs here from its sender's, and only traced programs can tell whether that matters."""


def foreign(job: Job) -> str:
    """Return in words why this process would compute something else than the sender of a job; "" if it would not.

    Programs are traced and compared only where the code differs. Raises UnsureError if the job does not say which
    program its sender would run.
    """
    difference = environment_difference(job.environment, environment())
    if difference:
        return f"the sender of this cell and this worker differ in {difference}. Give both the same."
    if fingerprint(job.task) != job.fingerprint:
        return _other(f"task {job.cell.task_label}")
    if code_hash(job.task, job.method) == job.code:
        return ""
    if not job.program:
        raise UnsureError
    same = method_fingerprint(job.task, job.trained_method) == job.program
    return "" if same else _other(f"method {job.cell.method_label}")


def _other(what: str) -> str:
    return (
        f"{what} computes something else on this worker than where the cell comes from. Give both the same files, and "
        "start again if they were edited in the meantime."
    )
