"""The machine that runs the programs: threads, locks, garbage collection, the compilation cache, provenance."""
