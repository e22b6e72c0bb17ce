"""A leaderboard as LaTeX tables, for papers; they need the package booktabs. No JAX here."""

from bench.analysis.leaderboard import Leaderboard
from bench.machine.printing import printable
from bench.report.overview import BEST, overview_tables
from bench.report.text import Table, aggregate_tables

ACROSS = 6  # tasks side by side
SPECIAL = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
}


def latex(leaderboard: Leaderboard) -> str:
    """Write every method on every task, and the aggregates. The best group of a task is bold."""
    tables = (*overview_tables(leaderboard, ACROSS), *aggregate_tables(leaderboard))
    return "% Needs \\usepackage{booktabs}.\n" + "\n".join(map(_table, tables))


def _table(table: Table) -> str:
    sides = "".join(column.align[0] for column in table.columns)
    rows = [line for row in table.rows for line in _lines(row)]
    return "\n".join(
        [
            f"% {' '.join(printable(table.title).split())}",  # a new line would end the comment
            f"\\begin{{tabular}}{{{sides}}}",
            "\\toprule",
            _line([escaped(column.heading) for column in table.columns]),
            "\\midrule",
            *rows,
            "\\bottomrule",
            "\\end{tabular}\n",
        ]
    )


def _lines(row: tuple[str, ...]) -> list[str]:
    """A row, whose cells may have several lines, as lines of LaTeX."""
    cells = [cell.split("\n") for cell in row]
    height = max(map(len, cells))
    return [_line([_cell(cell[i]) if i < len(cell) else "" for cell in cells]) for i in range(height)]


def _cell(text: str) -> str:
    return f"\\textbf{{{escaped(text.removeprefix(BEST))}}}" if text.startswith(BEST) else escaped(text)


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def escaped(text: str) -> str:
    """Escape what LaTeX would read as more than text."""
    return "".join(SPECIAL.get(character, character) for character in printable(text))
