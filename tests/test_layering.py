"""The layers of the house, read off the imports: who may import whom, and who must start without JAX."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

from layers import BEGIN, JAX_FREE, LAYERS, LIBRARIES, below, with_picture

ROOT = Path(__file__).parent.parent
FILES = sorted(p for top in ("bench", "tasks", "baselines") for p in (ROOT / top).rglob("*.py"))
MODULES = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in FILES}
NODES = {module: list(ast.walk(ast.parse(p.read_text(encoding="utf-8")))) for module, p in MODULES.items()}


def imports(module):
    """(module, name) of all that a module imports, at any depth and for types too; the name is "" for a module."""
    for node in NODES[module]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner, "") if inner in MODULES else (str(node.module), alias.name)


ARROWS = {module: {found for found, _ in imports(module)} - {module} for module in MODULES}
INSIDE = {module: {found for found in ARROWS[module] if found in MODULES} for module in MODULES}


def layer(module):
    """The longest name in the table that the module's begins with."""
    return max((name for name in LAYERS if f"{module}.".startswith(f"{name}.")), key=len)


def test_a_module_imports_its_own_layer_and_those_below():
    wrong = [
        f"{module} is in {layer(module)}, which does not stand on {found}"
        for module in MODULES
        for found in INSIDE[module]
        if layer(found) not in {layer(module), *below(layer(module))}
    ]
    assert not wrong


def test_no_imports_go_in_a_circle():
    graphlib.TopologicalSorter(INSIDE).prepare()  # CycleError shows the circle


def test_libraries_stay_in_their_places():
    used = {(module, found.partition(".")[0]) for module in MODULES for found in ARROWS[module]}
    assert not [(m, library) for m, library in used if layer(m) not in LIBRARIES.get(library, LAYERS)]


def test_nobody_knows_another_by_name():
    """The harness knows no task, a method no task, a task no other; commands share what lies below them."""
    tasks = {m for m in MODULES if layer(m) == "tasks"} - {"tasks.base", "tasks.constrained", "tasks.shapes"}
    commands = {m for m in MODULES if layer(m) == "bench.cli" and not m.startswith("bench.cli.terminal")}
    assert not [(m, tasks & INSIDE[m]) for m in MODULES if m not in ("tasks", "bench.registry") and tasks & INSIDE[m]]
    assert not [(m, commands & INSIDE[m]) for m in commands if commands & INSIDE[m]]


def test_names_are_public_and_not_those_of_the_standard_library():
    assert not [(m, name) for m in MODULES for _, name in imports(m) if name.startswith("_")]
    assert not [m for m in MODULES if m.rpartition(".")[2] in sys.stdlib_module_names]


def test_only_the_command_line_prints_or_exits():
    calls = [(m, ast.unparse(node.func)) for m in MODULES for node in NODES[m] if isinstance(node, ast.Call)]
    assert not [m for m, call in calls if call == "hasattr"]
    loud = {"print", "exit", "quit", "sys.exit"}
    assert not [(m, call) for m, call in calls if call in loud and layer(m) != "bench.cli"]


def test_views_start_without_jax():
    some = [f"{package}.{name}" for package, names in JAX_FREE.items() for name in ("__init__", *names)]
    free = [m for m in MODULES if LAYERS[layer(m)].jax_free or m in some or f"{m}.__init__" in some]
    code = f"import sys, {', '.join(m for m in free if m != 'bench.__main__')}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
    assert len(free) > len(some)


def test_the_picture_of_the_layers_is_of_this_table():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert BEGIN in text
    assert text == with_picture(text), "run `python tests/layers.py`"
