"""The layers of the house, read off the imports: who may import whom, and who must start without JAX."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(p for top in ("bench", "tasks", "baselines") for p in (ROOT / top).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module that a file imports, at any depth; "from a import b" counts as a and as a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def inside(module: str, *packages: str) -> bool:
    return any(module == p or module.startswith(p + ".") for p in packages)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_imports_respect_the_layers(path):
    module, found = name(path), imports(path)

    def forbid(*packages, why):
        bad = {m for m in found if inside(m, *packages)}
        assert not bad, f"{module} imports {sorted(bad)}: {why}"

    if inside(module, "tasks"):
        forbid("bench", "baselines", "diffrax", "matplotlib", "scipy", why="a task is mathematics only")
        if module != "tasks":
            others = {name(p) for p in MODULES if inside(name(p), "tasks")} - {"tasks.base", "tasks", module}
            forbid(*others, why="tasks do not know each other")
    if inside(module, "baselines"):
        concrete = {name(p) for p in MODULES if inside(name(p), "tasks")} - {"tasks.base", "tasks"}
        forbid(
            *concrete,
            "bench.training.train",
            "bench.sweep.job",
            "bench.run",
            "bench.registry",
            "diffrax",
            why="a method knows only the contract",
        )
    if inside(module, "bench"):
        if module != "bench.registry":
            forbid("baselines", why="only bench.registry sees the tables")
            concrete = {name(p) for p in MODULES if inside(name(p), "tasks")} - {"tasks.base", "tasks"}
            forbid(*concrete, why="the harness knows no task by name")
            assert "tasks.TASKS" not in found, f"{module} reads the table of tasks; only bench.registry may"
        if module != "bench.simulate":
            forbid("diffrax", why="only bench.simulate integrates")
        if module not in ("bench.reference.jaxpr_to_casadi", "bench.reference.multiple_shooting"):
            forbid("casadi", why="an extra: everything but the second route to a reference works without it")
        if module in ("bench.simulate", "bench.method"):
            forbid(
                "bench.training.train",
                "bench.sweep.job",
                "bench.run",
                "bench.records.reference",
                why="the contract stands below the harness",
            )
        if not inside(module, "bench.cli", "bench.__main__"):
            forbid("bench.cli", "typer", "rich", why="only the command line talks to people")


WITHOUT_JAX = (
    *("suite", "budget", "records", "stats", "leaderboard", "reference", "report", "errors", "cli"),
    *("status", "lock", "estimate", "executors", "threads"),
    *("tuning", "cells", "permutation", "ranks", "efficiency", "standings", "power", "regression", "calibration"),
    *("drawing", "trajectories", "exploitation"),
    *(
        f"gradients.{name}"
        for name in (
            "growth",
            "measurements",
            "scenery",
            "claims",
            "effects",
            "verdicts",
            "quality",
            "figures",
            "report",
        )
    ),
    *("report.charts", "report.gate", "report.html", "report.plots"),
)


def test_views_start_without_jax():
    code = f"import sys, {', '.join(f'bench.{name}' for name in WITHOUT_JAX)}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_command_line_prints_or_exits(path):
    if not inside(name(path), "bench.cli", "bench.__main__"):
        calls = [n.func for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
        assert not [f for f in calls if isinstance(f, ast.Name) and f.id in ("print", "exit", "quit", "hasattr")]
        assert not [f for f in calls if isinstance(f, ast.Attribute) and ast.unparse(f) == "sys.exit"]
