"""Sweeps of many cells: jobs, executors, the schedule, the store of outcomes, and status."""
