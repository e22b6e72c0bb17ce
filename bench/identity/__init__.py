"""Identity: hashes of values, code and programs that are equal in every process and on every machine."""

from bench.identity.functions import write_code
from bench.identity.programs import write_program
from bench.identity.values import UnhashableError, Writer

__all__ = ["UnhashableError", "digest"]


def digest(value: object) -> str:
    """Return sixteen hex digits of a hash of a value: a number, an array, a function, a class, a traced program, or an
    object by its fields. Addresses, `repr`, comments, docstrings and names of modules are no part of it.

    Raises UnhashableError.
    """
    writer = Writer((write_program, write_code))
    writer.write(value)
    return writer.hexdigest()
