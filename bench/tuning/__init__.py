"""Searches for a method's best settings, and for its numbers of updates at equal compute."""
