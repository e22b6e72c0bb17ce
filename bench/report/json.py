"""JSON: the columns of the CSV files and the notes, null for a number that does not exist."""

import json

from bench.leaderboard import Leaderboard


def leaderboard_json(leaderboard: Leaderboard) -> str:
    """`{"rows": [...], "aggregate": [...], "notes": [...]}`."""
    tables = {"rows": leaderboard.rows, "aggregate": leaderboard.aggregate}
    # pandas alone turns its own missing numbers into null.
    data = {name: json.loads(str(t.to_json(orient="records", double_precision=15))) for name, t in tables.items()}
    return json.dumps({**data, "notes": leaderboard.notes}, indent=1) + "\n"
