"""Views of a leaderboard. A format is a set of files, each a Reporter's text. No JAX here."""

from collections.abc import Callable, Mapping

from bench.analysis.leaderboard import Leaderboard
from bench.report.data_files import aggregate_csv, leaderboard_json, rows_csv
from bench.report.markdown import markdown
from bench.report.page import html_page

Reporter = Callable[[Leaderboard], str]

FORMATS: Mapping[str, Mapping[str, Reporter]] = {
    "csv": {"leaderboard.csv": rows_csv, "aggregate.csv": aggregate_csv},
    "markdown": {"leaderboard.md": markdown},
    "json": {"leaderboard.json": leaderboard_json},
    "html": {"leaderboard.html": html_page},
}
