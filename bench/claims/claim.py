"""Claims as data: the statement, and the experiment and the effect that test it. No JAX."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from bench.budget import Allowance
from bench.suite import Cell, Suite, load

TABLE = Path(__file__).parent / "claims.toml"
SUITE = "claims"


@dataclass(frozen=True)
class Experiment:
    """What to run for a claim, by `kind`:

    - "runs": training runs of `methods` on `tasks`, on the grids that `num_steps` (refine) or `stretch` (extend) ask
      for. With a shipped `suite`, tasks, budget and starts are that suite's; tasks that are given replace its own;
    - "gradients": gradients through `models`, at the `policy` (a moment of training) of runs of the method `by`;
    - "landscapes": landscapes of the return under `models`.

    Diagnostics that are `offline` fit the models to a fixed data set in place of collected episodes. The fields of the
    other kinds are not used. Seeds are those of `bench.claims.sequential`.
    """

    kind: Literal["runs", "gradients", "landscapes"]
    tasks: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    suite: str = ""
    num_steps: tuple[int, ...] = ()
    stretch: tuple[int | float, ...] = ()
    episodes: int = 50
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    by: str = ""
    policy: str = "final"
    horizons: tuple[int, ...] = ()
    updates: tuple[int, ...] = (1200,)
    offline: bool = False

    @property
    def design(self) -> str:
        """Words that say what is run."""
        data = "a fixed data set (first control random, the rest in mid-range)" if self.offline else "the same episodes"
        if self.kind == "gradients":
            lengths, horizons = (", ".join(map(str, numbers)) for numbers in (self.updates, self.horizons))
            models = f"gradients through models fitted to {data} by {lengths} updates"
            return f"{models}, at the {self.policy} policy of {self.by}, over {horizons} steps"
        if self.kind == "landscapes":
            return f"the return along the first control under models fitted to {data}, and where ascents on it end"
        suite = self.suite_of_runs()
        spent = f"{suite.budget.episodes} episodes" if suite.budget.episodes else f"{suite.budget.env_steps} steps"
        grids = {"steps": self.num_steps, "times the horizon": self.stretch}
        longer = [f"grids of {', '.join(map(str, sizes))} {unit}" for unit, sizes in grids.items() if sizes]
        settings = [f"{k}.{f}={v}" for k, fields in self.settings.items() for f, v in fields.items()]
        where = f" in suite {self.suite}" if self.suite else ""
        return "; ".join([f"training runs of {spent}{where}", *longer, *settings])

    def cells(self, methods: Collection[str], seeds: int) -> list[Cell]:
        """The training runs of an experiment of kind "runs", of some of its methods.

        A method is named by its label, such as "name[field=value]". Raises UsageError.
        """
        chosen = [name for name in self.methods if name in methods]
        return self.suite_of_runs().cells(methods=chosen, seeds=seeds) if chosen else []

    def suite_of_runs(self) -> Suite:
        """The suite that the training runs are cells of. Raises UsageError."""
        if self.suite:
            shipped = load(self.suite)
            return replace(
                shipped,
                tasks=self.tasks or shipped.tasks,
                num_steps=self.num_steps,
                stretch=self.stretch,
                settings={**shipped.settings, **self.settings},
            )
        budget = Allowance(episodes=self.episodes, evals=25)
        return Suite(
            SUITE,
            "",
            self.tasks,
            self.methods,
            1,
            budget,
            num_steps=self.num_steps,
            stretch=self.stretch,
            settings=self.settings,
        )

    def policy_cells(self, seeds: int) -> list[Cell]:
        """The training runs whose policies an experiment of kind "gradients" looks at."""
        budget = Allowance(episodes=self.episodes, evals=10)
        return Suite(f"{SUITE}-policies", "", self.tasks, (self.by,), seeds, budget).cells()


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, or of ours, tested by comparing `subject` with each of `others`.

    `where` names the part of the paper, `experiment` an entry of claims.toml, and `effect` a key of EFFECTS. `margins`
    replace the effect's own margins of equivalence, by scale, and `reason` says why.
    """

    name: str
    statement: str
    where: str
    experiment: str
    effect: str
    subject: str
    others: tuple[str, ...]
    margins: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


def load_claims(path: Path = TABLE) -> tuple[list[Claim], dict[str, Experiment]]:
    """The claims, and the experiments by name."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    experiments = {name: Experiment(**_tuples(entry)) for name, entry in data["experiment"].items()}
    return [Claim(**_tuples(entry)) for entry in data["claim"]], experiments


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
