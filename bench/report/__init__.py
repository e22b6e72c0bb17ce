"""Views of a leaderboard. A format is a set of files, each a Reporter's text. No JAX here."""

from collections.abc import Callable, Mapping

from bench.leaderboard import Leaderboard
from bench.report.csv import aggregate_csv, rows_csv
from bench.report.html import page
from bench.report.json import leaderboard_json
from bench.report.markdown import markdown

Reporter = Callable[[Leaderboard], str]

FORMATS: Mapping[str, Mapping[str, Reporter]] = {
    "csv": {"leaderboard.csv": rows_csv, "aggregate.csv": aggregate_csv},
    "markdown": {"leaderboard.md": markdown},
    "json": {"leaderboard.json": leaderboard_json},
    "html": {"leaderboard.html": page},
}
