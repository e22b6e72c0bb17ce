"""Hashes of the code of tasks and methods, as it is in this process."""

import json
from collections.abc import Mapping
from typing import Any

import jax

from bench.errors import UsageError
from bench.identity import UnhashableError, digest
from bench.method import AbstractMethod
from bench.records.run import storable
from bench.training import closed_loop
from tasks.base import AbstractTask

# JAX keeps what it has traced for the life of this process. So does this, for the code that it was traced from.
_traced_from: dict[str, str] = {}


class CodeHashes:
    """Hashes of the code of tasks and methods, each computed once."""

    def __init__(self):
        self._known: dict[str, str] = {}

    def of(self, name: str, settings: Mapping[str, Any], built: AbstractTask | AbstractMethod) -> str:
        """Return the hash of a task or method that was built by name.

        If its code has changed since it last ran here, as in a notebook, JAX forgets what it has traced.
        """
        key = json.dumps([name, storable(dict(settings))], sort_keys=True)
        if key not in self._known:
            try:
                found = self._known[key] = digest(built)
            except UnhashableError as error:
                raise UsageError(f"'{name}' holds {error}") from error
            if _traced_from.setdefault(key, found) != found:
                jax.clear_caches()
                closed_loop.forget_programs()
                _traced_from.update({key: found})
        return self._known[key]


def code_hash(task: AbstractTask, method: AbstractMethod) -> str:
    """Return a hash of all code that the programs of a method on a task are traced from."""
    return joint_hash(digest(task), digest(method))


def joint_hash(task: str, method: str) -> str:
    """Return the hash of the code of a task and a method, given those of each."""
    return digest((task, method))
