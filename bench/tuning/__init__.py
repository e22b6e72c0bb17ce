"""Searches for a method's settings, and for its number of updates at equal compute."""
