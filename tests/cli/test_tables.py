"""Tables in a terminal: what a narrow one breaks and leaves out."""

from bench.cli.terminal.tables import fit
from bench.report.text import Table, number_column, text_column

COLUMNS = (
    text_column("method"),
    number_column("score"),
    number_column("95 % interval"),
    number_column("failed"),
    number_column("curve area"),
)
ROWS = [
    ("simulator_gradient_oracle", "0.800", "[0.790, 0.810]", "0/3", "0.500"),
    ("sac", "-20", "[-21, -19]", "1/3", "-1.000"),
]
TABLE = Table("title", COLUMNS, ROWS)


def widest(table):
    """Of its lines: every column as wide as its widest cell, with two characters between."""
    columns = zip(table.headings, *table.rows, strict=True)
    return sum(2 + max(len(line) for cell in column for line in cell.split("\n")) for column in columns)


def test_a_table_with_room_stays_as_it_is():
    assert fit(TABLE, 100) == TABLE


def test_names_and_heads_are_broken_before_columns_are_left_out():
    shown = fit(TABLE, 60)
    assert shown.headings == ("method", "score", "95 %\ninterval", "failed", "curve\narea")
    assert shown.rows[0][0] == "simulator_\ngradient_oracle"
    assert shown.title == "title"
    assert widest(shown) <= 60


def test_the_last_columns_are_left_out_by_name():
    shown = fit(TABLE, 48)
    assert shown.headings == ("method", "score", "95 %\ninterval")
    assert shown.title == "title (no room for failed, curve area)"
    assert shown.rows[1] == ("sac", "-20", "[-21, -19]")
    assert len(fit(TABLE, 10).headings) == 3  # no fewer, however narrow
