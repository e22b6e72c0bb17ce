"""Records as tidy tables: a line for each run, and a line for each evaluation. No JAX here.

Parquet keeps types and every text; CSV is as in `bench.report.data_files`.
"""

import io
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from bench.analysis.leaderboard import Leaderboard
from bench.analysis.stats import score
from bench.records.reference import Reference
from bench.records.run import RunRecord

KEY = ("suite", "task", "horizon", "num_steps", "method", "seed")
OF_EVALUATION = ("env_steps", "updates", "train_seconds", "cpu_seconds", "cost", "end_error", "violation")
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}  # as records write them
EXACT = 2**53  # whole numbers below it are exact in every table


def runs_table(leaderboard: Leaderboard) -> pd.DataFrame:
    """Make a line for each run: the columns of `RunRow`, with a column for each setting, such as `method.batch`."""
    settings = pd.json_normalize(leaderboard.runs["settings"].tolist())
    columns = {name: _typed(settings[name].tolist()) for name in settings}
    facts = leaderboard.runs.drop(columns="settings").reset_index(drop=True).astype({"dirty": "boolean"})
    return pd.concat([facts, pd.DataFrame(columns, index=facts.index)], axis=1)


def curves_table(records: Iterable[RunRecord], reference_of: dict[str, Reference]) -> pd.DataFrame:
    """Make a line for each evaluation of each run, with its unclipped score; `reference_of` is by fingerprint."""
    lines = []
    for run in records:
        reference = reference_of.get(run.fingerprint)
        known = reference if reference is not None and reference.headroom is not None else None
        for point in run.curve:
            cost = point["cost"]
            scored = math.nan if known is None or cost is None else score(float(cost), known.floor, known.best)
            lines.append((*(getattr(run, name) for name in KEY), *(point.get(name) for name in OF_EVALUATION), scored))
    table = pd.DataFrame(lines, columns=[*KEY, *OF_EVALUATION, "score"])
    numbers = [*OF_EVALUATION, "score"]
    return table.astype(dict.fromkeys(numbers, "float64")).astype({"env_steps": "Int64", "updates": "Int64"})


def parquet(table: pd.DataFrame) -> bytes:
    """Write a table as Parquet; needs the extra `parquet`."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _typed(values: Sequence[Any]) -> pd.Series:
    """A setting over all runs, empty where a run lacks it: truth values, whole numbers, numbers, or else texts."""
    known = [NOT_FINITE.get(v, v) if isinstance(v, str) else v for v in values if not _is_missing(v)]
    if all(isinstance(v, bool) for v in known):
        kind = "boolean"
    elif all(type(v) is int and abs(v) < EXACT for v in known):
        kind = "Int64"
    elif all(type(v) in (int, float) for v in known):
        kind = "float64"
    else:
        known = [v if isinstance(v, str) else json.dumps(v) for v in values if not _is_missing(v)]
        kind = "object"
    each = iter(known)
    return pd.Series([None if _is_missing(v) else next(each) for v in values], dtype=kind)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
