"""The machine: threads, locks, the compilation cache, provenance. Nothing of the problem."""
