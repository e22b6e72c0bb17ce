"""Shared fixtures. Tests walk the tables, so a new task or method is tested without editing a test."""

import jax
import pytest

from bench.machine import compilation

# As `bench run` does: workers, the processes that tests start and the next run find what was compiled before.
compilation.enable_cache()


@pytest.fixture
def x64():
    """Float64 for one test, whatever the default is."""
    with jax.enable_x64(True):
        yield
