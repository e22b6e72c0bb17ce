"""Loading a user's own task or method: by module, or by path of a file."""

import dataclasses
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.method import AbstractMethod
from bench.settings import SettingError
from tasks.base import AbstractTask


def load(what: str, name: str) -> Callable:
    """Return the attribute of "module:attr" or "folder/file.py:attr". An instance is a factory of its like."""
    module, _, attribute = name.rpartition(":")
    if "\0" in name:
        raise SettingError(f"{what} {name!r} cannot be loaded: no file or module has such a name.")
    file = Path(module).resolve() if module.endswith(".py") else None
    if file and not file.is_file():
        raise SettingError(f"{what} '{name}' cannot be loaded: there is no file {file}.")
    if not file and (not module or module.startswith(".")):
        raise SettingError(
            f"{what} '{name}' cannot be loaded: '{module}' is no name of a module. Give a file as ./x.py."
        )
    root, path = _package_root(file) if file else (None, module)
    if root and str(root) not in sys.path:
        sys.path.append(str(root))  # workers inherit it, and so find the module by its name
    try:
        loaded = importlib.import_module(path)
    except ImportError as error:
        raise SettingError(f"{what} '{name}' cannot be loaded: {error}.") from error
    except Exception as error:  # the file is the user's: whatever it raises is shown with the line that raised it
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = (error.filename, error.lineno) if isinstance(error, SyntaxError) else (last.filename, last.lineno)
        said = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
        raise SettingError(
            f"{what} '{name}' cannot be loaded: {type(error).__name__}: {said} ({where[0]}:{where[1]})."
        ) from error
    origin = Path(source).resolve() if (source := getattr(loaded, "__file__", None)) else "part of Python"
    if file and origin != file:
        raise SettingError(
            f"{what} '{name}' cannot be loaded: {file} is shadowed by the module '{path}', which is {origin}. "
            "Give your file another name."
        )
    try:
        found = getattr(loaded, attribute)
    except AttributeError as error:
        raise SettingError(
            f"{what} '{name}' cannot be loaded: {error} ({origin}). Where that is not your file, it shadows yours: "
            "give yours another name."
        ) from error
    if isinstance(found, AbstractTask | AbstractMethod):
        return partial(dataclasses.replace, found)
    is_another = isinstance(found, type) and not issubclass(found, AbstractTask | AbstractMethod)
    if not callable(found) or is_another or inspect.isbuiltin(found):  # calling anything at all may end this process
        kind = "class of another kind" if is_another else type(found).__name__
        raise SettingError(f"{what} '{name}' is a {kind}. Give a class of a {what}, a function or an instance.")
    return found


def _package_root(file: Path) -> tuple[Path, str]:
    """Return the folder above a file's packages, and the file's dotted name there, so that relative imports work."""
    root, path = file.parent, file.stem
    while (root / "__init__.py").is_file():
        root, path = root.parent, f"{root.name}.{path}"
    return root, path
