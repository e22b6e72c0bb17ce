"""Canonical hashing of code that is alive: what functions and classes do, with all that they refer to.

It is read off the objects, not off files. So it is right in a notebook, and where a file changed after it was imported.
"""

import functools
import inspect
import sys
import sysconfig
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from bench.identity.values import Writer

OURS = tuple(f"{Path(__file__).parents[2]}/{name}/" for name in ("bench", "tasks", "baselines"))
# Installed packages count by name: the versions of those that matter are part of a record.
LIBRARIES = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib"))
WRAPPERS = (type(jax.jit(lambda: 0)), type(functools.cache(lambda: 0)))  # both are written in C, around a function
NO_CODE = {
    "__abstractmethods__",
    "__annotations__",
    "__dict__",
    "__doc__",
    "__firstlineno__",
    "__module__",
    "__qualname__",
    "__slotnames__",  # which pickle leaves in a class whose instance it met
    "__static_attributes__",
    "__weakref__",
}
BY_NAME = types.BuiltinFunctionType | types.MethodWrapperType | types.WrapperDescriptorType | np.ufunc
HAS_DOCSTRING = 0x4000000  # a flag of code objects since Python 3.13


def write_code(writer: Writer, value: Any) -> bool:
    """Write a function, a class or a module; return whether the value was one."""
    if isinstance(value, types.FunctionType):
        _write_function(writer, value)
    elif isinstance(value, types.MethodType):
        writer.write_all("method", (value.__func__, value.__self__))
    elif isinstance(value, functools.partial):
        writer.write_all("partial", (value.func, value.args, value.keywords))
    elif isinstance(value, staticmethod | classmethod):
        writer.write_all(type(value).__name__, (value.__func__,))
    elif isinstance(value, property):
        writer.write_all("property", (value.fget, value.fset))
    elif isinstance(value, type):
        _write_class(writer, value)
    elif isinstance(value, types.ModuleType):
        writer.tag(f"module {value.__name__}")
    elif isinstance(value, types.CodeType):
        _write_code_object(writer, value)
    elif isinstance(value, types.CellType):
        writer.write_if_possible(_contents(value))
    elif isinstance(value, WRAPPERS):
        writer.write_all("wrapped", (inspect.unwrap(value, stop=lambda each: not isinstance(each, WRAPPERS)),))
    elif isinstance(value, BY_NAME):
        writer.tag(f"callable {getattr(value, '__module__', None)}:{value.__name__}")
    else:
        return False
    return True


def _write_function(writer: Writer, function: types.FunctionType) -> None:
    while _is_library(function.__code__.co_filename) and isinstance(
        wrapped := getattr(function, "__wrapped__", None), types.FunctionType
    ):
        function = wrapped  # a decorator of a library, such as one that checks types
    if _is_library(function.__code__.co_filename):
        writer.tag(f"function {function.__module__}:{function.__qualname__}")
        for cell in function.__closure__ or ():
            writer.write(cell)
        return
    writer.tag("function")
    if not writer.first_time(function):
        return
    writer.write(function.__code__)
    for part in (*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())):
        writer.write_if_possible(part)
    for cell in function.__closure__ or ():
        writer.write(cell)
    names = frozenset(_names(function.__code__))
    _write_names(writer, function.__globals__, names)
    imported = {name: sys.modules[name] for name in names & sys.modules.keys() - function.__globals__.keys()}
    ours = {name: found for name, found in imported.items() if not _is_library(getattr(found, "__file__", "<frozen"))}
    _write_names(writer, ours, names)  # what it imports when it is called


def _write_names(
    writer: Writer, known: dict[str, Any], names: frozenset[str], inside: tuple[types.ModuleType, ...] = ()
) -> None:
    """Write what names refer to. An attribute that has the name of a global is taken for it, which does no harm."""
    for name in sorted(names & known.keys()):
        value = known[name]
        writer.tag(f"name {name}")
        if not isinstance(value, types.ModuleType):
            writer.write_if_possible(value)
        elif value not in inside and not _is_library(getattr(value, "__file__", None)):
            _write_names(writer, vars(value), names, (*inside, value))
        else:
            writer.write(value)


def _write_class(writer: Writer, cls: type) -> None:
    if _is_library_class(cls):
        writer.tag(f"class {cls.__module__}:{cls.__qualname__}")
        return
    writer.tag("class")
    if not writer.first_time(cls):
        return
    writer.write_all("bases", cls.__bases__)
    writer.write_if_possible(type(cls))
    for name, value in sorted(vars(cls).items()):
        if name not in NO_CODE and not name.startswith("_abc_"):
            writer.tag(f"attribute {name}")
            writer.write_if_possible(value)


def _write_code_object(writer: Writer, code: types.CodeType) -> None:
    """Write instructions and constants; names of local variables, lines and the docstring are no part of it."""
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags, arguments, code.co_names)
    writer.write_all("code", (shape, code.co_code, getattr(code, "co_exceptiontable", b"")))
    constants = code.co_consts
    may_begin = code.co_flags & HAS_DOCSTRING if sys.version_info >= (3, 13) else not code.co_name.startswith("<")
    if may_begin and constants and isinstance(constants[0], str):  # the docstring
        constants = (None, *constants[1:])
    for constant in constants:
        writer.write(constant)


def _names(code: types.CodeType) -> Iterator[str]:
    """The names in a function and in the functions within it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None


def _is_library_class(cls: type) -> bool:
    module = sys.modules.get(cls.__module__)
    return cls.__module__ == "builtins" or (module is not None and _is_library(getattr(module, "__file__", "")))


@functools.cache
def _is_library(file: str | None) -> bool:
    """Whether a file belongs to Python or to an installed package. What has no file, such as a notebook, does not."""
    if file is None:
        return False
    return file.startswith("<frozen") or (file.startswith(LIBRARIES) and not file.startswith(OURS))
