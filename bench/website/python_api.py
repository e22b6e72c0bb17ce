"""The reference of the public names: signatures with units and shapes as the source has them, and their docstrings."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator

import bench
from bench.website.docstrings import arguments_as_list

HEAD = """# Public names

All are `bench.NAME`. Shapes stand in the types: `n` states, `m` controls, `steps` control intervals, `knots` (one more
than steps), `batch`, `seeds`. A text in a type, such as `"steps m"`, is the shape of an array. States, controls and
times are in the task's own units. [Python](python.md) has examples.

"""
SECTION = re.compile(r"^([A-Z][^\n]*)\n((?:    \w+ {2,}\S[^\n]*\n)+)", re.MULTILINE)
ENTRY = re.compile(r"^    (\w+) ", re.MULTILINE)


def page() -> str:
    """Write every public name, in the order and under the headings of the package's docstring."""
    parts = [HEAD]
    for title, entries in SECTION.findall((bench.__doc__ or "") + "\n"):
        parts.append(f"## {title}\n")
        parts += [_entry(name) for name in ENTRY.findall(entries)]
    return "\n".join(parts)


def _entry(name: str) -> str:
    found = getattr(bench, name)
    node = ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]
    module, _, _ = bench.PUBLIC[name].partition(":")
    path = f"{module.replace('.', '/')}.py"
    text = arguments_as_list(inspect.getdoc(found) or "")
    shown = "\n".join(_signature(node, name))
    return f"### {name}\n\n```python\n{shown}\n```\n\n{text}\n\n{_methods(node)}\nDefined in [{path}](../{path}).\n"


def _signature(node: ast.stmt, name: str) -> Iterator[str]:
    """A function's first line, or a class with its fields."""
    if isinstance(node, ast.FunctionDef):
        yield _line(node, name)
    elif isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        yield f"class {name}({bases}):" if bases else f"class {name}:"
        fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
        yield from (f"    {ast.unparse(each)}" for each in fields)
        if not fields:
            yield "    ..."


def _methods(node: ast.stmt) -> str:
    """The public methods and properties of a class."""
    lines = []
    for each in node.body if isinstance(node, ast.ClassDef) else []:
        called = isinstance(each, ast.FunctionDef) and (each.name == "__call__" or not each.name.startswith("_"))
        if isinstance(each, ast.FunctionDef) and called:
            said = " ".join((ast.get_docstring(each) or "").split("\n\n")[0].split())
            lines.append(f"- `{_line(each, each.name)}`{': ' if said else ''}{said}")
    return "\n".join(lines) + "\n" if lines else ""


def _line(node: ast.FunctionDef, name: str) -> str:
    marks = {ast.unparse(each) for each in node.decorator_list}
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if "property" in marks:
        return f"{name}{returns}"
    return f"{name}({ast.unparse(node.args)}){returns}"
