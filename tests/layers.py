"""The layers of the house: one table, and its picture. `python tests/layers.py` draws it into CONTRIBUTING.md."""

from pathlib import Path
from typing import NamedTuple


class Layer(NamedTuple):
    """A package or a single module: what it stands on directly, and whether all of it starts without JAX."""

    stands_on: tuple[str, ...]
    jax_free: bool = False


LAYERS = {
    "bench.errors": Layer((), True),
    "bench.machine": Layer(("bench.errors",)),
    "bench.records": Layer(("bench.machine",), True),
    "bench.budget": Layer(("bench.errors",), True),
    "bench.noise": Layer(("bench.errors",), True),
    "bench.suite": Layer(("bench.budget", "bench.noise", "bench.records"), True),
    "bench.settings": Layer(("bench.errors",), True),
    "bench.analysis": Layer(("bench.records",), True),
    "bench.gate": Layer(("bench.analysis",), True),
    "tasks": Layer(()),
    "bench.identity": Layer(("bench.errors",)),
    "bench.radau": Layer(()),
    "bench.runge_kutta": Layer(("bench.radau", "tasks")),
    "bench.violations": Layer(("tasks",)),
    "bench.precision": Layer(("tasks",)),
    "bench.noisy_task": Layer(("tasks", "bench.noise")),
    "bench.solvers": Layer(("bench.runge_kutta",)),
    "bench.simulate": Layer(("bench.solvers", "bench.violations", "bench.noisy_task")),
    "bench.method": Layer(("bench.simulate", "bench.budget", "bench.records")),
    "baselines": Layer(("bench.method", "bench.settings")),
    "bench.reference": Layer(("bench.method", "bench.precision", "bench.identity")),
    "bench.training": Layer(("bench.reference",)),
    "bench.loading": Layer(("bench.method", "bench.settings")),
    "bench.registry": Layer(("baselines", "bench.identity", "bench.loading")),
    "bench.sweep": Layer(("bench.registry", "bench.training", "bench.suite")),
    "bench.run": Layer(("bench.sweep",)),
    "bench.gym": Layer(("bench.sweep",)),
    "bench.report": Layer(("bench.gate", "bench.simulate"), True),  # of an episode it names the simulator's types
    "bench.tuning": Layer(("bench.run", "bench.analysis")),
    "bench.contract": Layer(("bench.tuning",)),
    "bench.gradients": Layer(("bench.run", "bench.report")),
    "bench.claims": Layer(("bench.gradients",)),
    "bench.cli": Layer(("bench.claims", "bench.contract")),
    "bench": Layer(("bench.cli", "bench.gym")),  # the public face and `python -m bench`
    "bench.website": Layer(("bench",)),  # the pages of the project's site
}
# Modules that start without JAX, in packages that as a whole do not.
JAX_FREE = {
    "bench": (),
    "bench.cli": ("check", "export", "plot", "report", "status"),
    "bench.machine": ("cpu_time", "garbage_collection", "locks", "printing", "processor", "threads"),
    "bench.sweep": ("executors", "forecast", "status"),
    "bench.gradients": ("figures", "growth", "metrics", "records", "summary"),
    "bench.claims": (
        "claim",
        "differences",
        "effects",
        "figure",
        "page",
        "pair",
        "power",
        "report",
        "sequential",
        "verdicts",
    ),
}
# Who may use a library that is an extra, or that only one place may touch.
LIBRARIES = {
    "diffrax": ("bench.runge_kutta", "bench.solvers"),
    "casadi": ("bench.reference",),
    "optuna": ("bench.tuning",),
    "distributed": ("bench.sweep", "bench.cli"),
    "gymnasium": ("bench.gym",),
    "jinja2": ("bench.report",),
    "matplotlib": ("bench.report", "bench.gradients", "bench.cli"),
    "typer": ("bench.cli",),
    "rich": ("bench.cli",),
}
BEGIN, END = "<!-- layers: python tests/layers.py -->\n", "<!-- end of layers -->"


def below(layer: str) -> set[str]:
    """All that a layer stands on, directly or not."""
    return {lower for each in LAYERS[layer].stands_on for lower in (each, *below(each))}


def with_picture(text: str) -> str:
    """A text with the layers as a Mermaid diagram in its marked place: arrows lead to what a package stands on."""
    head, _, rest = text.partition(BEGIN)
    short = {name: name.removeprefix("bench.") for name in LAYERS}
    arrows = [f"{short[name]} --> {short[lower]}" for name, layer in LAYERS.items() for lower in layer.stands_on]
    free = ",".join(short[name] for name, layer in LAYERS.items() if layer.jax_free)
    lines = ["flowchart TD", *arrows, "classDef free stroke-dasharray: 4 3", f"class {free} free"]
    return head + BEGIN + "```mermaid\n" + "\n    ".join(lines) + "\n```\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    page = Path(__file__).parent.parent / "CONTRIBUTING.md"
    page.write_text(with_picture(page.read_text(encoding="utf-8")), encoding="utf-8")
