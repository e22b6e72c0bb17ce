"""Records to tables: scores, statistics, ranks, learning curves, and the rows of every table. No JAX here."""
