"""CSV in full precision; an empty field is a number that does not exist."""

from bench.leaderboard import Leaderboard


def rows_csv(leaderboard: Leaderboard) -> str:
    """One line per task, grid and method."""
    return leaderboard.rows.to_csv(index=False)


def aggregate_csv(leaderboard: Leaderboard) -> str:
    """One line per suite and method."""
    return leaderboard.aggregate.to_csv(index=False)
