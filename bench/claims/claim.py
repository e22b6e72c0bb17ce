"""Claims as data: what is said, and which experiment and effect test it. No JAX."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.budget import Allowance
from bench.suite import Cell, Suite

TABLE = Path(__file__).parent / "claims.toml"
SUITE = "claims"


@dataclass(frozen=True)
class Experiment:
    """What is run: training runs of `methods`, gradients of `models` at policies trained `by` a method, or landscapes.

    Only the fields of its `kind` are used.
    """

    kind: Literal["runs", "gradients", "landscapes"]
    tasks: tuple[str, ...]
    seeds: int
    methods: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    stretch: tuple[int | float, ...] = ()
    episodes: int = 50
    by: str = ""
    policy: str = "final"
    horizons: tuple[int, ...] = ()
    updates: tuple[int, ...] = (1200,)

    def cells(self) -> list[Cell]:
        """Of training runs; "name[field=value]" is a method with a setting."""
        budget = Allowance(episodes=self.episodes, evals=25)
        return Suite(SUITE, "", self.tasks, self.methods, self.seeds, budget, stretch=self.stretch).cells()

    def hosts(self) -> list[Cell]:
        """The runs whose policies are looked at."""
        budget = Allowance(episodes=self.episodes, evals=10)
        return Suite(f"{SUITE}-policies", "", self.tasks, (self.by,), self.seeds, budget).cells()


@dataclass(frozen=True)
class Claim:
    """`subject` against each of `others` by `effect`, a key of EFFECTS; `where` names the part of the paper."""

    name: str
    statement: str
    where: str
    experiment: str
    effect: str
    subject: str
    others: tuple[str, ...]


def load(quick: bool, path: Path = TABLE) -> tuple[list[Claim], dict[str, Experiment]]:
    """The claims, and the experiments by name: small ones if `quick`."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    experiments = {}
    for name, entry in data["experiment"].items():
        small = entry.pop("quick", {})
        experiments[name] = Experiment(**_tuples(entry | (small if quick else {})))
    return [Claim(**_tuples(entry)) for entry in data["claim"]], experiments


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
