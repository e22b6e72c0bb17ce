"""Make the records of a trained cell, one for each seed: its curve, what it spent, and where it comes from."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from bench.machine.provenance import provenance
from bench.records.run import RunRecord, final_cost
from bench.reference.episodes import best_known_episode, describe_task
from bench.reference.starts import evaluation_starts
from bench.sweep.job import Job
from bench.training.train import Evaluation


def to_records(
    job: Job, evaluations: list[Evaluation], started: datetime, error: str, ended_by: str
) -> list[RunRecord]:
    """Make the record of each seed of a job; they are "failed" if there is an `error`, the text of a traceback.

    `ended_by` is what ended the training (see `RunRecord`).
    """
    origin = provenance() | {
        "started": started.isoformat(timespec="milliseconds"),
        "ended": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "seeds_in_block": len(job.todo),
    }
    context = _trajectory_context(job) if evaluations and evaluations[-1].final else {}
    return [_record(job, i, evaluations, error, origin, ended_by, context) for i in range(len(job.todo))]


def _trajectory_context(job: Job) -> dict[str, Any]:
    """The task and the best known episode, which are stored beside the trajectory of a final policy."""
    first_start = evaluation_starts(job.task)[0].tolist()
    best = next((best_known_episode(job.task, r) for r in job.known if r.start in (None, first_start)), None)
    return {"task": describe_task(job.task), "reference": best}


def _record(
    job: Job,
    i: int,
    evaluations: list[Evaluation],
    error: str,
    origin: dict[str, Any],
    ended_by: str,
    context: dict[str, Any],
) -> RunRecord:
    block = len(job.todo)  # evaluations time the block as a whole
    curve = [
        {
            "env_steps": e.env_steps,
            "updates": e.updates,
            "train_seconds": e.train_seconds / block,
            **_cpu_seconds(e, block),
            "cost": _finite_or_none(e.cost[i]),
            "end_error": _finite_or_none(e.end_error[i]),
            "violation": _finite_or_none(e.violation[i]),
        }
        for e in evaluations
    ]
    status, cost = ("failed", None) if error else final_cost(curve)
    last = evaluations[-1] if evaluations else None
    final = last.final[i] if last and last.final else {}
    return RunRecord(
        suite=job.cell.suite,
        task=job.cell.task_label,
        horizon=float(job.task.horizon),
        num_steps=int(job.task.num_steps),
        method=job.cell.method_label,
        seed=job.todo[i],
        status=status,
        cost=cost,
        curve=curve,
        usage={
            "env_steps": last.env_steps if last else 0,
            "env_grad_steps": last.env_grad_steps if last else 0,
            "train_seconds": last.train_seconds / block if last else 0.0,
            **(_cpu_seconds(last, block) if last else {}),
            "compile_seconds": last.compile_seconds / block if last else 0.0,
            "updates": last.updates if last else 0,
            "acting_env_steps": job.usage.acting_env_steps,
        },
        fingerprint=job.fingerprint,
        settings=job.settings,
        provenance=origin | ({"final_state": last.state[i]} if last and last.state else {}),
        error="".join(error.splitlines(keepends=True)[-40:]),
        ended_by=ended_by,
        rescored=final.get("scores", {}),
        method_fingerprint=last.program if last else "",
        sources=job.code,
        trajectory={**context, "policy": final["episode"]} if final.get("episode") else None,
    )


def _cpu_seconds(evaluation: Evaluation, block: int) -> dict[str, float]:
    """One seed's share of the CPU seconds; nothing where they were not measured."""
    return {} if evaluation.cpu_seconds is None else {"cpu_seconds": evaluation.cpu_seconds / block}


def _finite_or_none(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None
