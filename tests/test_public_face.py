"""`import bench`: every public name resolves, is documented, and agrees with its table."""

import ast
import importlib
import inspect
import pkgutil
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import bench

ROOT = Path(__file__).parent.parent
TREE = ast.parse(Path(str(bench.__file__)).read_text(encoding="utf-8"))


def for_type_checkers():
    """Public name -> "module:attribute", read off the imports under TYPE_CHECKING."""
    (block,) = [node for node in TREE.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(block.body)
    return {a.asname or a.name: f"{node.module}:{a.name}" for node in imports for a in node.names}


def test_the_table_the_list_and_what_type_checkers_see_agree():
    assert for_type_checkers() == bench.PUBLIC
    assert sorted(bench.__all__) == sorted(bench.PUBLIC)
    assert {*bench.__all__} <= {*dir(bench)}


@pytest.mark.parametrize("name", sorted(bench.PUBLIC))
def test_a_public_name_resolves_and_has_documentation_of_its_own(name):
    found = getattr(bench, name)
    module, _, attribute = bench.PUBLIC[name].partition(":")
    assert found is getattr(importlib.import_module(module), attribute)
    documentation = found.__doc__ or ""  # not getdoc, which inherits it
    assert documentation.strip()
    assert not documentation.startswith(f"{attribute}("), "a dataclass without a docstring shows its signature"
    if inspect.isclass(found) or inspect.isfunction(found):
        assert found.__module__ == module, "the table names where it is defined"


def test_public_names_hide_no_module():
    assert not {module.name for module in pkgutil.iter_modules(bench.__path__)} & {*bench.PUBLIC}


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'rollot'"):
        _ = bench.rollot


def test_modules_are_still_found_by_their_names():
    code = "from bench import suite, run; assert suite.load and run.run"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_importing_bench_imports_neither_jax_nor_numpy_nor_pandas():
    code = "import bench, sys; dir(bench); sys.exit(bool({'jax', 'numpy', 'pandas'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_help_says_what_to_do_and_has_a_line_for_each_name():
    lines = [line.split() for line in str(bench.__doc__).splitlines() if line.startswith("    ")]
    described = [words for words in lines if words[0] in bench.PUBLIC]
    assert sorted(name for name, *_ in described) == sorted(bench.PUBLIC)  # each once
    assert all(len(words) > 2 for words in described)
    shown = pydoc.render_doc(bench, renderer=pydoc.plaintext)
    assert "records = bench.run_cells(" in shown


def test_the_page_about_python_has_every_name():
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    table = text.partition("## Every public name")[2]
    assert [name for name in bench.PUBLIC if f"`{name}`" not in table] == []


def test_the_wheel_tells_type_checkers_that_its_packages_are_typed():
    files = {Path(file.distribution_path) for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {Path(package, "py.typed") for package in ("bench", "tasks", "baselines")} <= files
