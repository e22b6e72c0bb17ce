"""Views of a leaderboard: data files, markdown and one HTML page. No JAX here.

A format is a set of files, and a Reporter makes the text of each.
"""

from collections.abc import Callable, Mapping

from bench.analysis.leaderboard import Leaderboard
from bench.report.data_files import aggregate_csv, leaderboard_json, rows_csv
from bench.report.latex import latex
from bench.report.markdown import markdown
from bench.report.page import html_page

Reporter = Callable[[Leaderboard], str]

FORMATS: Mapping[str, Mapping[str, Reporter]] = {
    "csv": {"leaderboard.csv": rows_csv, "aggregate.csv": aggregate_csv},
    "markdown": {"leaderboard.md": markdown},
    "json": {"leaderboard.json": leaderboard_json},
    "latex": {"leaderboard.tex": latex},
    "html": {"leaderboard.html": html_page},
}
