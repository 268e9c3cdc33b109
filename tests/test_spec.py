from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.spec import Spec, apply_changes, apply_overrides, folder_named_by, merge
from ouroloop.yaml_file import dump, read_yaml

GOOD = """\
name: toy
generations: 5
data: {kind: gaussian, n: 50}
generator: gaussian
regime:
  kind: fixed_real
  synthetic_ratio: 0.5
corrector: {kind: ideal, correction_strength: 2}
metrics: [gaussian_w2]
"""


def check(text):
    return Spec.from_mapping(read_yaml(text, name="study.yaml").data, file=read_yaml(text, name="study.yaml"))


def test_defaults_are_filled_in_and_reading_back_gives_the_same():
    spec = check(GOOD)
    assert spec.generator["kind"] == "gaussian"
    assert len(spec.generator) > 1
    assert spec.corrector["correction_strength"] == 2.0
    assert check(spec.to_yaml()) == spec
    assert check(spec.to_yaml()).fingerprint() == spec.fingerprint()


def test_a_corrector_without_strength_corrects_all():
    assert check(GOOD.replace(", correction_strength: 2", "")).corrector["correction_strength"] == float("inf")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "synthetic_ratio: 0.5",
            "synthetic_ratio: -1",
            "regime.synthetic_ratio: must be >= 0, got -1, in study.yaml line 7",
        ),
        ("synthetic_ratio: 0.5", "ratio: 0.5", "regime.ratio: is not a known option, got 0.5, in study.yaml line 7"),
        ("kind: fixed_real", "kind: fixed", "regime.kind: must be one of: accumulate, "),
        (
            "generations: 5",
            "generations: many",
            "generations: must be a whole number, got 'many', in study.yaml line 2",
        ),
        (
            "correction_strength: 2",
            "correction_strength: -2",
            "corrector.correction_strength: must be a number >= 0 or .inf",
        ),
        ("metrics: [gaussian_w2]", "metrics: [gaussian_w2, nothing]", "metrics.1.kind: must be one of"),
        ("generator: gaussian", "", "generator: is required"),
        ("name: toy", "nam: toy", "nam: is not a known option, got 'toy', in study.yaml line 1"),
        ("data: {kind: gaussian, n: 50}", "data: {n: 50}", "data: needs a 'kind', one of"),
        (
            "generator: gaussian",
            "generator: {kind: object, object: KernelDensity}",
            "generator: is the Python object KernelDensity and cannot be read from a file; go on from Python",
        ),
    ],
)
def test_problems_name_field_value_file_and_line(old, new, message):
    with pytest.raises(SpecError) as error:
        check(GOOD.replace(old, new))
    assert message in str(error.value)


def test_what_was_given_with_set_has_no_line(tmp_path: Path):
    path = tmp_path / "toy.yaml"
    path.write_text(GOOD)
    with pytest.raises(SpecError) as error:
        Spec.read(path, ["regime.synthetic_ratio=-1", "generator=nothing"])
    assert all(line.endswith(", given with --set") for line in str(error.value).splitlines())
    path.write_text(GOOD.replace("0.5", "-1"))
    with pytest.raises(SpecError, match=r"regime\.synthetic_ratio: .*, in toy\.yaml line 7$"):
        Spec.read(path, ["generations=3"])


def test_all_problems_are_told_at_once():
    with pytest.raises(SpecError) as error:
        check(GOOD.replace("generations: 5", "generations: -1").replace("0.5", "-1"))
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a: !!python/object/apply:os.system 'echo hi'", "tag .* is not allowed"),
        ("a: !!python/name:os.system", "not allowed"),
        ("a: 1\na: 2", "line 2: 'a' is given twice"),
        ("a: [1, 2", "not valid YAML"),
        ("? [1, 2]\n: 3", "keys must be plain text"),
        ("a: &x [1]\nb: [" + ", ".join(["[" * 45 + "1" + "]" * 45]) + "]", "nested too deeply"),
    ],
)
def test_hostile_or_broken_yaml_is_refused_with_its_line(text, match):
    with pytest.raises(SpecError, match=match):
        read_yaml(text, name="study.yaml")


def test_alias_bomb_is_refused():
    bomb = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
    )
    with pytest.raises(SpecError, match="too many values"):
        read_yaml(bomb)


def test_self_reference_is_refused():
    with pytest.raises(SpecError, match="nested too deeply"):
        read_yaml("a: &a [*a]")


def test_file_errors_name_the_file(tmp_path: Path):
    with pytest.raises(SpecError, match=r"missing\.yaml"):
        Spec.read(tmp_path / "missing.yaml")
    big = tmp_path / "big.yaml"
    big.write_text("a: " + "x" * 1_100_000)
    with pytest.raises(SpecError, match="too large"):
        Spec.read(big)


def test_fingerprint_ignores_place_speed_and_length_but_nothing_else():
    spec = check(GOOD)
    same = [{"generations": 50}, {"name": "other"}, {"threads": 2}, {"keep": {"last": 3}}, {"stop_on": "collapsing"}]
    for change in same:
        assert Spec.from_mapping({**spec.resolved(), **change}).fingerprint() == spec.fingerprint(), change
    network, files = {"kind": "diffusion"}, {"kind": "mnist"}
    placed = [("generator", network, {"device": "cuda"}), ("data", files, {"path": "elsewhere"})]
    for field, part, place in placed:
        before, after = (Spec.from_mapping({**spec.resolved(), field: {**part, **more}}) for more in ({}, place))
        assert before.fingerprint() == after.fingerprint(), place
    other = [{"seed": 1}, {"start": "previous"}, {"shard_rows": 10}, {"regime": {"kind": "replace"}}, {"metrics": []}]
    for change in other:
        assert Spec.from_mapping({**spec.resolved(), **change}).fingerprint() != spec.fingerprint(), change


def test_overrides_reach_mappings_lists_and_short_parts():
    data = {"regime": "replace", "metrics": [{"kind": "fid"}], "seed": 0}
    changed = apply_overrides(data, ["regime.synthetic_ratio=0.2", "metrics.0.n=100", "seed=3"])
    assert changed == {
        "regime": {"kind": "replace", "synthetic_ratio": 0.2},
        "metrics": [{"kind": "fid", "n": 100}],
        "seed": 3,
    }
    assert data["regime"] == "replace"


@pytest.mark.parametrize("text", ["seed", "=3", "seed.deep=3", "metrics.7.n=1", "a b=1"])
def test_bad_overrides_are_named(text):
    with pytest.raises(SpecError, match="--set"):
        apply_overrides({"seed": 0, "metrics": []}, [text])


def test_merge_replaces_a_part_of_another_kind_whole():
    base = {"regime": {"kind": "accumulate", "window": 3}, "evaluation": {"n": 10, "every": 2}}
    assert merge(base, {"regime": {"kind": "replace"}})["regime"] == {"kind": "replace"}
    assert merge(base, {"regime": {"window": 4}})["regime"] == {"kind": "accumulate", "window": 4}
    assert merge(base, {"evaluation": {"n": 5}})["evaluation"] == {"n": 5, "every": 2}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("abc:#-[]{}'\"\n é", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc é", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(plain)
def test_yaml_round_trip(data):
    assert read_yaml(dump(data)).data == data


def test_a_part_that_becomes_one_of_another_kind_loses_the_filled_in_options():
    given = "kind: nearest_real, correction_strength: 2"
    before = check(GOOD.replace("kind: ideal, correction_strength: 2", given)).resolved()
    after = apply_changes(before, ["corrector.blend=0.5", "corrector.kind=cluster"])
    assert after["corrector"] == {"kind": "cluster", "blend": 0.5}
    assert after["generator"] == before["generator"]
    assert apply_changes(before, ["corrector.kind=nearest_real"]) == before
    assert apply_changes(before, ["metrics.0.kind=fid"])["metrics"] == [{"kind": "fid"}]
    assert apply_changes(before, ["corrector=cluster", "corrector.blend=0.5"])["corrector"] == after["corrector"]
    for wrong in ("seed.kind=3", "metrics.5.kind=fid"):
        with pytest.raises(SpecError, match=r"--set"):
            apply_changes(before, [wrong])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[gaussian_w2]", "[{kind: fid, features: nope}]", "metrics.0.features.kind: must be one of: "),
        (
            "[gaussian_w2]",
            "[{kind: fid, features: {kind: pca, components: 0}}]",
            "metrics.0.features.components: must be >= 1, got 0",
        ),
        ("kind: ideal", "kind: cluster, space: nope", "corrector.space.kind: must be one of: "),
        ("n: 50", "n: 50, mean: [1, 2, 3]", "data.mean: expected shape (2,) for dim = 2, got (3,)"),
        ("n: 50", "n: 50, covariance: [[1, 2], [3, 4]]", "data.covariance: must be symmetric"),
        ("{kind: gaussian, n: 50}", "{kind: arrays, path: nope.npy}", "data.path: nope.npy: no such file"),
    ],
)
def test_what_parts_find_wrong_has_its_field_and_line_too(tmp_path: Path, old: str, new: str, message: str):
    path = tmp_path / "study.yaml"
    path.write_text(GOOD.replace(old, new))
    line = 1 + GOOD[: GOOD.index(old)].count("\n")
    with pytest.raises(SpecError) as caught:
        Spec.read(path, with_files=True)
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith(f", in study.yaml line {line}")


def test_a_stored_specification_is_read_without_its_data(tmp_path: Path):
    path = tmp_path / "study.yaml"
    path.write_text(GOOD.replace("{kind: gaussian, n: 50}", "{kind: arrays, path: nope.npy}"))
    assert Spec.read(path).data["path"] == "nope.npy"


def test_a_name_that_no_folder_can_have_is_told_with_its_line(tmp_path: Path):
    path = tmp_path / "study.yaml"
    path.write_text(GOOD.replace("toy", "'../../evil'"))
    with pytest.raises(SpecError, match=r"^name: '../../evil' cannot be a name: .*, in study.yaml line 1$"):
        folder_named_by(Spec.read(path), path)
    with pytest.raises(SpecError, match=r"^name: '/' cannot be a name: .*, given with --set$"):
        folder_named_by(Spec.read(path, ["name=/"]), path, ["name=/"])
    assert folder_named_by(Spec.read(path, ["name=a"]), path, ["name=a"]) == "a"


def test_set_reaches_a_short_part_in_a_list():
    changed = apply_overrides({"metrics": ["moments", "fid"]}, ["metrics.0.max_rows=50"])
    assert changed == {"metrics": [{"kind": "moments", "max_rows": 50}, "fid"]}
