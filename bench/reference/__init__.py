"""Floors and optima of a task: two independent searches, their comparison, the lookup, and how hard the task is."""
