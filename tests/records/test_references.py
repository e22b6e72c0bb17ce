"""References as a value: which one takes precedence, means over several starts, and their file."""

import dataclasses

import pytest
from synthetic import reference as made_up

from bench.errors import UsageError
from bench.records import reference_file
from bench.records.reference import NUM_STARTS, key_of
from bench.records.reference_file import read_references, write_references
from bench.records.references import References


@pytest.fixture
def one():
    return made_up("t", fingerprint="f")


def over_starts(one, count, **changes):
    """References of one task from `count` starts, with best costs 0, 1, ..."""
    return [dataclasses.replace(one, start=[float(i)], best=float(i), **changes) for i in range(count)]


def test_a_folder_goes_before_the_package_and_what_is_given_before_both(one, tmp_path, monkeypatch):
    package, folder = tmp_path / "package.toml", tmp_path / "out"
    monkeypatch.setattr(reference_file, "PACKAGE_FILE", package)
    elsewhere = made_up("u", fingerprint="g")
    write_references(package, {r.key: r for r in (one, elsewhere)})
    shipped = References.shipped()
    assert shipped.of("f") == (one,)
    assert References.beside(folder) == shipped  # no folder, no file
    in_folder, given = dataclasses.replace(one, best=2.0), dataclasses.replace(one, best=1.0)
    write_references(folder / "references.toml", {one.key: in_folder})
    beside = References.beside(folder)
    assert beside.of("f") == (in_folder,)
    assert beside.of("g") == (elsewhere,)
    assert beside.updated([given]).of("f") == (given,)
    # Nothing that was built before has changed.
    assert (shipped.of("f"), beside.of("f")) == ((one,), (in_folder,))
    assert beside.updated([]) == beside


def test_an_unknown_task_has_no_reference(one):
    assert References({}).updated([one]).of("g") == ()
    assert References({}).by_fingerprint() == {}


def test_over_several_starts_the_reference_of_a_task_is_their_mean(one):
    group = over_starts(one, NUM_STARTS)
    group[3] = dataclasses.replace(group[3], grade="C", residual=0.5)
    group[4] = dataclasses.replace(group[4], floor=one.floor + 16)
    alone = made_up("u", fingerprint="g")
    found = References({}).updated([*group, alone])
    assert found.of("f") == tuple(group)
    means = found.by_fingerprint()
    assert means["g"] == alone
    mean = means["f"]
    assert mean.best == (NUM_STARTS - 1) / 2
    assert mean.floor == one.floor + 1
    assert (mean.grade, mean.residual, mean.start) == ("C", 0.5, None)  # the worst grade and residual


@pytest.mark.parametrize("count", [2, NUM_STARTS - 1])
def test_while_starts_are_missing_a_task_has_no_mean(one, count):
    assert References({}).updated(over_starts(one, count)).by_fingerprint() == {}


def test_a_start_is_part_of_the_key(one):
    group = over_starts(one, 2)
    assert len({one.key, *(r.key for r in group)}) == 3
    assert key_of("f", None) == one.key == "f"
    assert key_of("f", [1.0]) == group[1].key


def test_a_file_returns_what_was_written(one, tmp_path):
    path = tmp_path / "references.toml"
    full = dataclasses.replace(
        one, start=[0.1 + 0.2], states=[[0.1], [1e-300]], second_order=False, multiple_shooting=[], lyapunov=-2.0
    )
    write_references(path, {r.key: r for r in (one, full)})
    assert read_references(path) == {r.key: r for r in (one, full)}


def test_a_file_that_another_process_wrote_again_is_read_again(one, tmp_path):
    path = tmp_path / "references.toml"
    for best in (1.0, 2.0):  # the files have one length, and perhaps one time of writing
        write_references(path, {one.key: dataclasses.replace(one, best=best)})
        assert read_references(path)[one.key].best == best
    path.unlink()
    assert read_references(path) == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_written_as_toml_has_them(one, tmp_path, value):
    path = tmp_path / "references.toml"
    odd = dataclasses.replace(one, adaptive=value, multiple_shooting=[value], controls=[[value]])
    write_references(path, {one.key: odd})
    assert repr(read_references(path)[one.key]) == repr(odd)


@pytest.mark.parametrize("name", ['a"b', "new\nline", "\\", "\x7f", "half \ud800 pair", "Übung", "#"])
def test_any_name_of_a_task_is_written_as_text(one, tmp_path, name):
    path = tmp_path / "references.toml"
    write_references(path, {one.key: dataclasses.replace(one, task=name)})
    assert read_references(path)[one.key].task == name.encode(errors="backslashreplace").decode()


@pytest.mark.parametrize(
    "text", ["[[reference]]\nbest = Infinity\n", "[[reference]]\nbest = 1\n", "reference = 3\n", "\x00"]
)
def test_a_file_that_is_not_well_formed_is_set_aside_with_one_line(one, tmp_path, text):
    path = tmp_path / "references.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"holds no references .* kept as references\.toml\.unusable-1") as refused:
        References.beside(tmp_path)
    assert "\n" not in str(refused.value)
    write_references(path, {one.key: one})
    assert References.beside(tmp_path).of("f") == (one,)


def test_the_packages_own_file_is_refused_and_stays(tmp_path, monkeypatch):
    path = tmp_path / "references.toml"
    path.write_text("[[reference]]\nnewer = 1\n")
    monkeypatch.setattr(reference_file, "PACKAGE_FILE", path)
    with pytest.raises(UsageError, match="does not fit this version"):
        References.shipped()
    assert list(tmp_path.iterdir()) == [path]


def test_a_best_cost_that_an_adaptive_solver_changes_is_doubtful(one):
    """In units of the headroom, which is 10 here."""
    scored = {
        gap: dataclasses.replace(one, adaptive=one.best + gap) for gap in (0.0, 0.009, 0.011, -0.02, float("nan"))
    }
    assert [r.is_doubtful for r in scored.values()] == [False, False, True, True, True]
    assert scored[0.011].solver_gap == pytest.approx(1.1e-3)
    assert (one.solver_gap, one.is_doubtful) == (None, False)
