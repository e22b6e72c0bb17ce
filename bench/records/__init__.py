"""Facts on disk, written atomically: runs, references, trajectories, tunings. No JAX."""
