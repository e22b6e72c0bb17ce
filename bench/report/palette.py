"""Colours and strokes of methods: a method has the same ones on every page and in every figure. No JAX here."""

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Okabe & Ito's colours; olive in place of yellow, which white paper swallows. Further methods have other strokes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#999933")
STROKES = (("-", "solid"), ((0, (4, 1.5)), "dashed"), ((0, (1, 1.2)), "dotted"))  # matplotlib's words, and CSS's
MARKERS = (("o", "circle"), ("s", "square"), ("^", "triangle"))  # the same for points
Places = Mapping[str, int]  # by method


def colour(place: int) -> str:
    """The colour of the method at a place."""
    return COLOURS[place % len(COLOURS)]


def stroke(place: int) -> tuple[Any, str]:
    """The stroke of that method's line, for matplotlib and for CSS."""
    return STROKES[place // len(COLOURS) % len(STROKES)]


def marker(place: int) -> tuple[str, str]:
    """The mark of that method's points, for matplotlib and for the page."""
    return MARKERS[place // len(COLOURS) % len(MARKERS)]


def places(methods: Iterable[str]) -> Places:
    """The place of each method: that in the table of methods, or one after the table's for others, by their names."""
    names = list(methods)
    table = method_names()
    others = sorted({*names} - {*table})
    known = {name: place for place, name in enumerate((*table, *others))}
    return {name: known[name] for name in names}


@cache
def method_names() -> tuple[str, ...]:
    """The names in the table of methods, read from its source, because importing the methods imports JAX."""
    found = find_spec("baselines")
    if found is None or found.origin is None:
        return ()
    for node in ast.parse(Path(found.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "METHODS":
            return tuple(ast.literal_eval(key) for key in getattr(node.value, "keys", ()))
    return ()
