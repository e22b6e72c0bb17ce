"""The TOML file of references: the package's own, and one beside a run's records."""

import json
import math
import os
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import UsageError
from bench.records.decode import Decoder, check
from bench.records.files import open_regular, read_text, set_aside, write_atomically
from bench.records.reference import Reference

PACKAGE_FILE = Path(__file__).parents[2] / "tasks" / "references.toml"
FILE_NAME = "references.toml"  # beside the records of a run
RESULTS = Path("results")  # where `bench run` puts its folders by default
JSON_FIELDS = ("controls", "states")  # stored as JSON within a string, which is read 50 times as fast as TOML's arrays

_DECODER = Decoder(Reference)


def read_references(path: Path) -> dict[str, Reference]:
    """Read the references of a file by key; none if there is no file.

    Raises UsageError for a file that is not well formed. It is set aside so that the next command goes on, but for the
    package's own: a process of an older version may read that beside an update.
    """
    try:
        with open_regular(path) as file:
            found = os.fstat(file.fileno())
        return dict(_parsed(path, found.st_ino, found.st_mtime_ns, found.st_size))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        if path == PACKAGE_FILE:
            raise UsageError(f"{path} does not fit this version ({error}). Start anew, or install again.") from error
        raise UsageError(
            f"{path} holds no references ({error}). {set_aside(path)}; the same command now computes what it needs."
        ) from error


def newest_folder(fingerprint: str) -> Path | None:
    """Return the folder in RESULTS whose file of references was written last among those that hold the task's."""
    files = sorted(RESULTS.glob(f"*/{FILE_NAME}"), key=lambda file: file.stat().st_mtime, reverse=True)
    known = (file.parent for file in files if any(r.fingerprint == fingerprint for r in read_references(file).values()))
    return next(known, None)


@lru_cache(maxsize=16)
def _parsed(path: Path, *_file_version: int) -> dict[str, Reference]:
    entries = check(msgspec.convert, check(tomllib.loads, read_text(path)).get("reference", []), list[dict[str, Any]])
    found = [_DECODER.convert(check(_with_arrays, entry)) for entry in entries]
    return {reference.key: reference for reference in found}


def _with_arrays(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {key: json.loads(entry[key]) for key in JSON_FIELDS if key in entry}


def write_references(path: Path, references: dict[str, Reference]) -> None:
    """Write references atomically, sorted by task and grid."""
    entries = sorted(references.values(), key=lambda r: (r.task, r.horizon, r.num_steps, r.key))
    blocks = ["\n".join(_lines(entry)) for entry in entries]
    head = "# Made by `python -m bench reference`; do not edit.\n"
    text = head + "".join(f"\n[[reference]]\n{block}\n" for block in blocks)
    tomllib.loads(text)  # what cannot be read must not replace what can
    write_atomically(path, text)


def _lines(entry: Reference) -> Iterator[str]:
    for key, value in asdict(entry).items():
        if value is not None:
            yield f"{key} = '{json.dumps(value)}'" if key in JSON_FIELDS else f"{key} = {_toml(value)}"


def _toml(value: Any) -> str:
    """A text, number, truth value or list as TOML, which JSON is but for three numbers and for odd characters."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # nan, inf, -inf
    if isinstance(value, str):
        written = value.encode(errors="backslashreplace").decode()  # half a surrogate pair is no character
        return json.dumps(written, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
