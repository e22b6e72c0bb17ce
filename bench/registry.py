"""Registry: tasks and methods by name or "module:attr", with typed settings. It alone imports both tables."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np

from baselines import METHODS
from bench import settings as kinds
from bench.errors import did_you_mean
from bench.identity import UnhashableError, digest
from bench.loading import load
from bench.method import AbstractMethod, is_setting
from bench.settings import SettingError
from bench.solvers import SOLVERS
from tasks import TASKS, AbstractTask
from tasks.shapes import shape_fault


def task(name: str, settings: Mapping[str, Any] | None = None) -> AbstractTask:
    """Return the task of this name with `settings` in place of its defaults. Raises SettingError."""
    built = _build("task", name, TASKS, AbstractTask, settings or {})
    if built.solver not in SOLVERS:
        raise SettingError(did_you_mean(f"solver of task '{name}':", built.solver, SOLVERS))
    fault = _shape_fault(built)
    if fault:
        raise SettingError(f"task '{name}': {fault}.")
    return built


def method(name: str, settings: Mapping[str, Any] | None = None) -> AbstractMethod:
    """Return the method of this name with `settings` in place of its defaults. Raises SettingError."""
    return _build("method", name, METHODS, AbstractMethod, settings or {})


def method_or_task(name: str, settings: Mapping[str, Any] | None = None) -> AbstractMethod | AbstractTask:
    """Return the method or the task of this name, whichever exists. Raises SettingError."""
    if ":" in name:
        is_task = isinstance(_made("method or task", name, load("method or task", name)), AbstractTask)
        return task(name, settings) if is_task else method(name, settings)
    if name in TASKS:
        return task(name, settings)
    if name in METHODS:
        return method(name, settings)
    raise SettingError(did_you_mean("method or task", name, [*METHODS, *TASKS]) + " One of your own is 'module:attr'.")


def settings_of(built: AbstractTask | AbstractMethod) -> dict[str, Any]:
    """Return every setting as a value of JSON. A class or a partial becomes its name, and gives its arguments.

    Other objects become their kind and a hash of their contents. Raises SettingError for one that cannot be hashed.
    """
    flat: dict[str, Any] = {}
    for field in filter(is_setting, dataclasses.fields(built)):
        value = getattr(built, field.name)
        try:
            flat[field.name] = _to_json(value)
        except UnhashableError as error:
            raise SettingError(f"{type(built).__name__}: {field.name} holds {error}") from error
        if callable(value):
            flat |= {f"{field.name}.{k}": _to_json(p.default) for k, p in _arguments(value).items()}
    return flat


def check_known(names: Mapping[str, Any], tasks: list[str], methods: list[str]) -> None:
    """Raise SettingError for settings of a name that takes no part in the run."""
    for name in names:
        if name not in tasks and name not in methods:
            raise SettingError(
                f"settings are for '{name}', which takes no part in this run. "
                + did_you_mean("task or method", name, dict.fromkeys([*tasks, *methods]))
            )


def _build(what: str, name: str, table: Mapping[str, Callable], kind: type, settings: Mapping[str, Any]) -> Any:
    if not isinstance(name, str):
        raise SettingError(f"a {what} is given by its name or as 'module:attr', got {name!r}.")
    factory = load(what, name) if ":" in name else table.get(name)
    if factory is None:
        raise SettingError(did_you_mean(what, name, table) + f" A {what} of your own is 'module:attr'.")
    default = _made(what, name, factory)
    if not isinstance(default, kind):
        raise SettingError(f"{what} '{name}' makes a {type(default).__name__}, which is no {kind.__name__}.")
    return _made(what, name, partial(factory, **_overrides(name, default, settings))) if settings else default


def _made(what: str, name: str, factory: Callable) -> Any:
    """Call the factory; every number of what it makes is one of Python. Raises SettingError."""
    _refuse_properties(what, name, factory)
    try:
        made = factory()
        if not isinstance(made, AbstractTask | AbstractMethod):
            return made
        hints = _hints(type(made))
        names = [f.name for f in dataclasses.fields(made) if is_setting(f)]
        plain = {field: _plain(getattr(made, field), kinds.kind(hints[field])) for field in names}
        _check_ranges(name, plain, hints)
        changed = {key: value for key, value in plain.items() if type(value) is not type(getattr(made, key))}
        return dataclasses.replace(made, **changed) if changed else made
    except SettingError:
        raise
    except (TypeError, ValueError, AttributeError, ArithmeticError, LookupError, SystemExit) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise SettingError(f"{what} '{name}': {reason}") from error


def _hints(kind: type) -> dict[str, Any]:
    """Return the types of fields with their ranges; as they are written where a name in them does not exist."""
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {f.name: f.type for f in dataclasses.fields(kind)}


def _check_ranges(name: str, settings: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    """Raise SettingError for the first setting outside of its range, those of callables included."""
    for field, value in settings.items():
        fault = kinds.fault(hints[field], field, value, settings)
        if not fault and callable(value):
            inside = _arguments(value)
            defaults = {key: p.default for key, p in inside.items()}
            faults = (kinds.fault(p.annotation, key, p.default, defaults) for key, p in inside.items())
            fault = next((f"{field}.{each}" for each in faults if each), "")
        if fault:
            raise SettingError(f"{name}.{fault}.")


def _refuse_properties(what: str, name: str, factory: Callable) -> None:
    """Raise SettingError where a property has the name of a setting: it could not be set."""
    made = factory.func if isinstance(factory, partial) else factory
    if isinstance(made, type) and dataclasses.is_dataclass(made):
        for field in dataclasses.fields(made):
            if isinstance(inspect.getattr_static(made, field.name, None), property):
                raise SettingError(
                    f"{what} '{name}': {field.name} must be a field with a default, got a property. "
                    f"Write a value, such as `{field.name}: int = 20`, so that it can be set."
                )


def _plain(value: Any, hint: Any) -> Any:
    """Return a number of NumPy as that of Python, and a number as the kind that its field declares if it equals one."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, float) and hint in (int, "int") and value.is_integer():
        return int(value)
    return float(value) if type(value) is int and hint in (float, "float") else value


def _shape_fault(task: AbstractTask) -> str:
    """Return what is wrong with the shapes. A function that raises is left to training, which keeps its traceback."""
    try:
        return shape_fault(task)
    except Exception:  # whatever a user's function raises is the run's own failure, told with the user's line
        return ""


def _overrides(name: str, default: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments for the factory. "model.width" becomes an argument of the callable that is the field `model`."""
    hints = _hints(type(default))
    fields = [f.name for f in dataclasses.fields(default) if is_setting(f)]
    known = list(settings_of(default))
    arguments: dict[str, Any] = {}
    for key, value in settings.items():
        outer, _, inner = key.partition(".")
        if key not in known:
            raise SettingError(did_you_mean(f"setting of '{name}':", key, known))
        if inner:
            inside = arguments.get(outer, getattr(default, outer))
            hint = _arguments(inside)[inner].annotation
            arguments[outer] = partial(inside, **{inner: kinds.convert(f"{name}.{key}", value, hint)})
        elif outer in fields:
            arguments[outer] = kinds.convert(f"{name}.{key}", value, hints[outer])
    return arguments


def _arguments(target: Callable) -> dict[str, inspect.Parameter]:
    """Return keyword-only arguments with defaults, and their annotations resolved; none where C hides them."""
    try:
        parameters = inspect.signature(target, eval_str=True).parameters.items()
    except (ValueError, TypeError):
        return {}
    return {k: p for k, p in parameters if p.kind is p.KEYWORD_ONLY and p.default is not p.empty}


def _to_json(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    target = value.func if isinstance(value, partial) else value
    name = getattr(target, "__qualname__", None)  # of a class or a function, compiled ones too
    if isinstance(name, str):
        return f"{target.__module__}:{name}"
    if isinstance(value, np.ndarray | jax.Array):
        return f"{value.dtype}{list(value.shape)} {digest(value)}"
    return repr(value) if _is_plain(value) else f"{type(value).__name__} {digest(value)}"


def _is_plain(value: Any) -> bool:
    if type(value) in (tuple, list):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)
