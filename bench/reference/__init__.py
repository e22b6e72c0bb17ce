"""Floors and optima of a task: their search by two routes, their lookup, and how hard the task is."""
