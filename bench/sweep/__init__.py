"""Many cells: jobs, executors, the schedule, and what became of each."""
