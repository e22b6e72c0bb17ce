"""A leaderboard as files for machines: CSV and JSON in full precision. No JAX here.

An empty field, or null, is a number that does not exist.
"""

import json
import math
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.leaderboard import Leaderboard
from bench.machine.printing import csv_cell


def rows_csv(leaderboard: Leaderboard) -> str:
    """Write one line for each TaskRow: a task, grid and method."""
    return table_csv(leaderboard.rows)


def aggregate_csv(leaderboard: Leaderboard) -> str:
    """Write one line for each AggregateRow: a suite and method."""
    return table_csv(leaderboard.aggregate)


def table_csv(table: pd.DataFrame) -> str:
    """Write a table; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    return table.map(csv_cell).to_csv(index=False)


def leaderboard_json(leaderboard: Leaderboard) -> str:
    """Write `{"rows": [...], "aggregate": [...], "notes": [...]}`, with the columns of the CSV files."""
    tables = {"rows": leaderboard.rows, "aggregate": leaderboard.aggregate}
    data = {
        name: [{key: plain_value(value) for key, value in row.items()} for row in table.to_dict("records")]
        for name, table in tables.items()
    }
    return json.dumps({**data, "notes": leaderboard.notes}, indent=1, allow_nan=False) + "\n"


def plain_value(value: Any) -> Any:
    """A cell as a value of JSON, with every digit; None for a number that does not exist or is infinite."""
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)) else None
