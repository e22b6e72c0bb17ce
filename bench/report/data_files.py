"""A leaderboard as files for machines: CSV and JSON in full precision. No JAX here.

An empty field, or null, is a number that does not exist.
"""

import json

import pandas as pd

from bench.analysis.leaderboard import Leaderboard
from bench.machine.printing import csv_cell


def rows_csv(leaderboard: Leaderboard) -> str:
    """Write one line for each TaskRow: a task, grid and method."""
    return _csv(leaderboard.rows)


def aggregate_csv(leaderboard: Leaderboard) -> str:
    """Write one line for each AggregateRow: a suite and method."""
    return _csv(leaderboard.aggregate)


def _csv(table: pd.DataFrame) -> str:
    """Write a table; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    return table.map(csv_cell).to_csv(index=False)


def leaderboard_json(leaderboard: Leaderboard) -> str:
    """Write `{"rows": [...], "aggregate": [...], "notes": [...]}`, with the columns of the CSV files."""
    tables = {"rows": leaderboard.rows, "aggregate": leaderboard.aggregate}
    # pandas alone turns its own missing numbers into null.
    data = {name: json.loads(str(t.to_json(orient="records", double_precision=15))) for name, t in tables.items()}
    return json.dumps({**data, "notes": leaderboard.notes}, indent=1) + "\n"
