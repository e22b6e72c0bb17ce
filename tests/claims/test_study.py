"""A study of claims: the table, known runs of other folders, what is missing, sequential seeds, and the command."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import write_record
from typer.testing import CliRunner

from bench import registry
from bench.claims.claim import Claim, Experiment, load_claims
from bench.claims.effects import EFFECTS
from bench.claims.experiments import Study
from bench.claims.plan import plan
from bench.claims.sequential import LOOKS
from bench.claims.verdicts import Comparison, Finding
from bench.cli import app
from bench.errors import UsageError
from bench.gradients.records import SIMULATOR
from bench.gradients.runner import Runner
from bench.records.cell_file import read_records
from bench.records.run import record_path
from bench.sweep.observer import Silent
from bench.sweep.resolve import task_of_cell
from bench.sweep.schedule import in_process

PUBLISHED = Path(__file__).parents[2] / "results" / "published"
EXPERIMENT = Experiment("runs", ("copy",), methods=("constant", "random"), episodes=2)
CLAIM = Claim("x", "the best constant beats chance", "", "e", "regret", "constant", ("random",))


def study(folder, *others):
    return Study([CLAIM], {"e": EXPERIMENT}, folder, others)


def runner(folder):
    return Runner(folder, in_process(Silent()), Silent())


def test_the_table_of_claims_is_well_formed():
    claims, experiments = load_claims()
    assert len({claim.name for claim in claims}) == len(claims)
    for claim in claims:
        experiment = experiments[claim.experiment]
        known = {*experiment.methods, *experiment.models, SIMULATOR}
        assert claim.effect in EFFECTS
        assert {claim.subject, *claim.others} <= known
        assert bool(claim.margins) == bool(claim.reason)
        assert {*claim.margins} <= {*EFFECTS[claim.effect].margins}
    for experiment in experiments.values():
        assert all(registry.method(model) for model in experiment.models)
        assert all(max(experiment.horizons, default=1) <= registry.task(task).num_steps for task in experiment.tasks)
        for cell in experiment.cells(experiment.methods, 1):
            task = task_of_cell(cell)
            method = registry.method(cell.method, {**cell.method_settings, **cell.extra_method_settings})
            assert cell.allowance.on(task.num_steps).steps(method.usage(task)) > 0
    assert not [e for e in experiments if e not in {claim.experiment for claim in claims}]


def test_a_study_computes_what_is_missing_and_adds_seeds_while_undecided(tmp_path):
    first = study(tmp_path / "a")
    assert [line.text.partition(",")[0] for line in plan(first, 10)] == ["e", "e"]
    (finding,) = first.run(runner(tmp_path / "a"), LOOKS[-1])
    (c,) = finding.comparisons
    records = list(read_records(tmp_path / "a"))
    # Both are far from the optimum; a constant has no spread, so chance needs few seeds to be told apart or not.
    assert len(records) == 2 * c.seeds
    assert finding.sources == [f"{2 * c.seeds} runs of this folder"]
    assert c.decisive.effect > 0.1

    again = study(tmp_path / "b", tmp_path / "a")
    assert [(line.text.split(", ")[1:3], line.seconds) for line in plan(again, 5)] == [
        (["5 seeds: 10 runs", "0 to do"], 0)
    ]
    (found,) = again.run(runner(tmp_path / "b"), LOOKS[-1])
    assert found.comparisons == finding.comparisons
    assert not list(read_records(tmp_path / "b"))
    assert found.sources == [f"{2 * c.seeds} runs of a"]


def test_runs_of_other_settings_or_tasks_do_not_serve(tmp_path):
    folder = tmp_path / "a"
    study(folder).run(runner(folder), 5)
    record = next(r for r in read_records(folder) if r.method == "constant" and r.seed == 0)
    jobs = study(folder).jobs({"e": {"constant"}}, 5)
    assert study(folder).missing(jobs) == []
    record.file.write_text("".join(record.file.read_text().splitlines(True)[1:]))
    others = {
        "fingerprint": (replace(record, fingerprint="other"), (0,)),
        "setting": (
            replace(record, settings={**record.settings, "budget": {"env_steps": 7, "evals": 25}}),
            (0,),
        ),
        "failed": (replace(record, status="failed", cost=None, error="x"), (0,)),
        "code": (replace(record, method_fingerprint="other", sources="other"), (0,)),
        "unknown code": (replace(record, method_fingerprint="", sources=""), ()),  # pooled where no seed is missing
        "suite": (replace(record, suite="another"), ()),  # does not matter
    }
    for other, todo in others.values():
        path = record_path(folder, other.key, other.seed)
        write_record(path, other)
        missing = study(folder).missing(study(folder).jobs({"e": {"constant"}}, 5))
        assert [job.todo for job in missing] == ([todo] if todo else [])
        path.unlink()


def test_only_the_undecided_get_more_seeds(tmp_path):
    two = replace(CLAIM, others=("random", "evolution"))
    experiment = replace(EXPERIMENT, methods=("constant", *two.others), episodes=50)
    asked = Study([two], {"e": experiment}, tmp_path, [])

    def finding(*answers):
        pairs = zip(two.others, answers, strict=False)
        found = [Comparison(o, a, True, "score", "seeds", 0.02, 5, 0.98, 0.0, 1.0, [], []) for o, a in pairs]
        return Finding("x", "", "", "", "constant", found, "", "")

    assert asked.undecided([]) == {"e": {"constant", "random", "evolution"}}
    assert asked.undecided([finding("better", "undecided")]) == {"e": {"constant", "evolution"}}
    assert asked.undecided([finding("equivalent")]) == {"e": {"constant", "evolution"}}  # no result is not decided
    assert asked.undecided([finding("better", "worse")]) == {}
    jobs = asked.jobs({"e": {"constant", "evolution"}}, 10)
    assert [(job.cell.method, job.cell.seeds) for job in jobs] == [
        ("constant", tuple(range(10))),
        ("evolution", tuple(range(10))),
    ]


def verdicts(finding):
    return finding["claim"], finding["verdict"], {c["other"]: c["verdict"] for c in finding["comparisons"]}


def test_the_command_judges_published_records_without_training(tmp_path):
    """Claims f and g: the world models' order is in the published records of the suite paper."""
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["claims", "--only", "f", "--only", "g", "--out", str(out), "--quiet"])
    assert result.exit_code == 0, result.output
    assert not list(out.glob("records/*"))
    f, g = json.loads((out / "claims.json").read_text(encoding="utf-8"))["findings"]
    answers = {c["other"]: c["verdict"] for c in f["comparisons"]}
    # Some are worse, each at its own level. Seven comparisons share a level that their p-values do not reach.
    assert (f["verdict"], g["verdict"]) == ("holds against 1 of 7", "holds against 1 of 7")
    assert (answers["one_step_model"], answers["history_model"]) == ("worse", "worse")
    assert answers["online_decision_transformer"] == "better"
    assert "without headroom and left out: bioreactor" in f["remarks"]
    assert {(e["scale"], e["over"]) for e in f["comparisons"][0]["estimates"]} == {
        (scale, over) for scale in ("decades", "score") for over in ("seeds", "tasks")
    }
    shown = json.loads((PUBLISHED / "claims" / "claims.json").read_text(encoding="utf-8"))["findings"]
    assert [verdicts(finding) for finding in (f, g)] == [verdicts(finding) for finding in shown]  # what the site shows
    page = (out / "claims" / "f.md").read_text(encoding="utf-8")
    assert "![Effects of claim f](f.svg)" in page
    assert (out / "claims" / "f.svg").exists()


def test_a_dry_run_says_what_it_would_run(tmp_path):
    arguments = ["claims", "--only", "f", "--out", str(tmp_path), "--dry-run", "--seeds", "10"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "paper, 5 seeds: 320 runs, 0 to do, 0 s" in result.output
    # Four of seven comparisons are undecided at 5 seeds; they and the subject have 8 tasks each. Five of ten seeds are
    # published, of the same programs.
    assert re.search(r"paper, 10 seeds: 400 runs, 200 to do, \d+ min", result.output), result.output
    assert not list(Path(tmp_path).glob("records/*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "a4"], "Did you mean 'a3'?"),
        (["--seeds", "7"], "--seeds takes 5, 10, 15, 20, got 7"),
        (["--records", "nowhere"], "--records nowhere: no such folder"),
    ],
)
def test_a_wrong_option_is_told_before_anything_runs(tmp_path, arguments, message):
    result = CliRunner().invoke(app, ["claims", *arguments, "--out", str(tmp_path)])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
