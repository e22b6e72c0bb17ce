"""Records to tables: scores, statistics, ranks, learning curves. No JAX."""
