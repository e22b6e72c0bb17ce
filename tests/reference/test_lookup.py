"""Lookup: references travel as a value, missing ones are computed once, and methods are told what they may know."""

import dataclasses
import os
from pathlib import Path

import pytest
from jax import random as jr
from reference_tasks import DoubleIntegrator
from synthetic import reference as made_up

from baselines.constant import Constant
from bench import registry
from bench.method import inform
from bench.records import reference_file
from bench.records.reference_file import read_references, write_references
from bench.records.references import References
from bench.reference import lookup
from bench.reference.fingerprint import fingerprint
from bench.reference.starts import evaluation_starts
from tasks import TASKS


def known(task, starts, **changes):
    """Made-up references of a task from each of `starts`; [None] is the task's own."""
    one = made_up(fingerprint=fingerprint(task), num_steps=task.num_steps)
    return [dataclasses.replace(one, start=None if x0 is None else x0.tolist(), **changes) for x0 in starts]


def test_a_missing_reference_is_an_error_that_says_how_to_compute_it():
    with pytest.raises(LookupError, match=r"no reference for DoubleIntegrator with horizon 2\.0, 5 steps and fixed"):
        lookup.lookup(DoubleIntegrator(num_steps=5))
    task = DoubleIntegrator(starts="random")
    some = References({}).updated(known(task, evaluation_starts(task)[1:]))
    with pytest.raises(LookupError, match="random starts"):  # one of 16 is missing
        lookup.lookup_each(task, some)


def test_the_given_references_are_used_and_the_package_only_by_default():
    task = TASKS["harvest"]()
    given = References({}).updated(known(task, [None], best=3.0))
    assert lookup.lookup(task, given).best == 3.0
    assert lookup.lookup(task) == References.shipped().by_fingerprint()[fingerprint(task)]
    with pytest.raises(LookupError):
        lookup.lookup(task, References({}))


def test_references_of_own_settings_are_computed_once_and_stored_beside_the_run(tmp_path, monkeypatch):
    task, path = DoubleIntegrator(num_steps=5), tmp_path / "references.toml"
    package = reference_file.PACKAGE_FILE.read_bytes()
    shipped = References.shipped()
    found = lookup.complete(shipped, "own", task, path)
    (computed,) = found.of(fingerprint(task))
    assert computed.best == pytest.approx(task.optimum(), rel=1e-9)  # quadratic, float64
    assert read_references(path) == {fingerprint(task): computed}
    assert found == shipped.updated([computed])
    assert References.shipped() == shipped  # a value: completing it changes no other
    monkeypatch.setattr(lookup, "single_shooting", None)  # a second computation would fail
    assert lookup.complete(found, "own", task, path) is found
    assert lookup.complete(References.beside(tmp_path), "own", task, path) == found
    assert reference_file.PACKAGE_FILE.read_bytes() == package


def test_only_the_missing_starts_are_computed_and_each_is_stored_at_once(tmp_path, monkeypatch):
    task, path = DoubleIntegrator(starts="random"), tmp_path / "references.toml"
    starts = evaluation_starts(task)
    first_14 = References({}).updated(known(task, starts[:14]))
    other = made_up("other")
    write_references(path, {other.key: other})
    computed, stored = [], []

    def search(name, task, x0):
        computed.append(x0.tolist())
        stored.append(len(read_references(path)))
        return dataclasses.replace(*known(task, [x0]), task=name)

    monkeypatch.setattr(lookup, "single_shooting", search)
    # Made-up references have one step.
    monkeypatch.setattr(lookup, "adaptive_cost", lambda task, reference: 3.0)
    monkeypatch.setattr(lookup, "with_violations", lambda task, reference: reference)
    found = lookup.complete(first_14, "lq", task, path)
    assert computed == starts[14:].tolist()
    assert stored == [1, 2]
    assert [r.adaptive for r in found.of(fingerprint(task)) if r.task == "lq"] == [3.0, 3.0]
    assert [r.start for r in lookup.lookup_each(task, found)] == starts.tolist()
    assert {r.key for r in found.of(fingerprint(task)) if r.task == "lq"} | {other.key} == {*read_references(path)}
    assert len(first_14.by_key) == 14
    assert lookup.complete(found, "lq", task, path) is found
    assert len(computed) == 2


def test_without_a_path_nothing_is_stored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = DoubleIntegrator(num_steps=5)
    assert lookup.lookup(task, lookup.complete(References({}), "own", task)).task == "own"
    assert list(tmp_path.iterdir()) == []


def test_a_method_knows_what_it_was_told_and_reads_no_file(monkeypatch):
    task = DoubleIntegrator()
    with pytest.raises(LookupError, match="not known"):
        Constant().init(task, jr.key(0))
    told = tuple(known(task, [None], floor_control=[0.25]))

    def no_file(*arguments, **options):
        raise AssertionError("a file was touched")

    with monkeypatch.context() as patches:
        for name in ("stat", "open", "read_text", "read_bytes"):
            patches.setattr(Path, name, no_file)
        patches.setattr(os, "open", no_file)
        with pytest.raises(AssertionError, match="touched"):
            References.shipped()
        floor = Constant()
        informed = inform(floor, told)
    assert informed.init(task, jr.key(0)).us.tolist() == [[0.25]]
    # The best known controls would be a policy without training.
    assert [floor._fields for floor in informed.floors] == [("start", "control", "cost")]
    with pytest.raises(LookupError):  # a method is a value: informing it makes another
        floor.init(task, jr.key(0))


def test_a_method_that_learns_is_told_nothing():
    learner = registry.method("random")
    assert inform(learner, tuple(known(DoubleIntegrator(), [None]))) is learner
