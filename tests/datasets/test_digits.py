from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ouroloop.datasets.digits import Digits
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.options import resolve_options
from ouroloop.protocols import Dataset


def as_set(x: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in x}


def test_the_default_split():
    data = Digits().load(key=Key(0))
    assert isinstance(data, Dataset)
    assert data.held_out is not None
    assert (len(data.real), len(data.held_out)) == (1347, 450)
    assert data.real.x.shape == (1347, 8, 8)
    assert data.real.x.dtype == np.float32
    assert data.real.label.dtype == np.int64
    assert data.real.x.min() == 0
    assert data.real.x.max() == 1
    assert not data.has_fresh
    with pytest.raises(DataError, match="no fresh real rows"):
        data.fresh(1, key=Key(0))


def test_the_parts_make_up_the_whole_with_its_labels_and_do_not_meet():
    data = Digits(held_out=400, reserve=300).load(key=Key(0))
    assert data.held_out is not None
    fresh = data.fresh(300, key=Key(0).child("generation", 1, "fresh"))
    tables = (data.real, data.held_out, fresh)
    ids = np.concatenate([t.id for t in tables])
    np.testing.assert_array_equal(np.sort(ids), np.arange(1797))
    source = load_digits()
    images = (source.images / 16).astype(np.float32)
    expected = {image.tobytes() + bytes([label]) for image, label in zip(images, source.target, strict=True)}
    got = [row.tobytes() + bytes([label]) for t in tables for row, label in zip(t.x, t.label, strict=True)]
    assert len(got) == len(set(got)) == len(expected) == 1797
    assert set(got) == expected


def test_the_split_is_stratified_and_the_same_for_every_seed():
    one, two = (Digits().load(key=Key(seed)) for seed in (0, 1))
    np.testing.assert_array_equal(one.real.x, two.real.x)
    assert one.held_out is not None
    shares = np.bincount(one.real.label) / len(one.real)
    held_out = np.bincount(one.held_out.label) / len(one.held_out)
    np.testing.assert_allclose(held_out, shares, atol=2 / 450)


def test_the_reserve_is_disjoint_over_generations_and_runs_out():
    data = Digits(reserve=300).load(key=Key(0))
    keys = [Key(0).child("generation", t, "fresh") for t in (1, 2, 3)]
    rows = [data.fresh(150, key=keys[t]) for t in (0, 1)]
    assert not as_set(rows[0].x) & as_set(rows[1].x)
    assert not as_set(rows[0].x) & as_set(data.real.x)
    np.testing.assert_array_equal(data.fresh(150, key=keys[0]).x, rows[0].x)
    with pytest.raises(DataError, match="keeps 300 real rows in reserve"):
        data.fresh(150, key=keys[2])


def test_no_held_out_and_too_little_to_train_on():
    assert Digits(held_out=0).load(key=Key(0)).held_out is None
    with pytest.raises(DataError, match="leave 7 of 1797"):
        Digits(held_out=1700, reserve=90).load(key=Key(0))


@pytest.mark.parametrize("options", [{"held_out": -1}, {"held_out": 1797}, {"reserve": -1}, {"subset": 5}])
def test_wrong_options_are_named(options):
    _, problems = resolve_options("datasets", {"kind": "digits", **options}, ("data",))
    assert [path for path, _ in problems] == [("data", next(iter(options)))]


def test_the_shared_images_cannot_be_written_to():
    from ouroloop.datasets.digits import _bundled

    with pytest.raises(ValueError, match="read-only"):
        _bundled()[0][0] = 1
