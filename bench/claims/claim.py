"""Claims as data: the statement, and the experiment and the effect that test it. No JAX."""

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
    """What to run for a claim, by `kind`:

    - "runs": training runs of `methods`, on the tasks' own grids, or extended by each factor in `stretch`;
    - "gradients": gradients through `models`, at the `policy` (a moment of training) of runs of the method `by`;
    - "landscapes": landscapes of the return under `models`.

    The fields of the other kinds are not used.
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
        """The training runs of an experiment of kind "runs"; "name[field=value]" is a method with a setting."""
        budget = Allowance(episodes=self.episodes, evals=25)
        return Suite(SUITE, "", self.tasks, self.methods, self.seeds, budget, stretch=self.stretch).cells()

    def policy_cells(self) -> list[Cell]:
        """The training runs whose policies an experiment of kind "gradients" looks at."""
        budget = Allowance(episodes=self.episodes, evals=10)
        return Suite(f"{SUITE}-policies", "", self.tasks, (self.by,), self.seeds, budget).cells()


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, tested by comparing `subject` with each of `others`.

    `where` names the part of the paper, `experiment` an entry of claims.toml, and `effect` a key of EFFECTS.
    """

    name: str
    statement: str
    where: str
    experiment: str
    effect: str
    subject: str
    others: tuple[str, ...]


def load_claims(quick: bool, path: Path = TABLE) -> tuple[list[Claim], dict[str, Experiment]]:
    """The claims, and the experiments by name, which are smaller if `quick`."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    experiments = {}
    for name, entry in data["experiment"].items():
        quick_changes = entry.pop("quick", {})
        experiments[name] = Experiment(**_tuples(entry | (quick_changes if quick else {})))
    return [Claim(**_tuples(entry)) for entry in data["claim"]], experiments


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
