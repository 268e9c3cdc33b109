from __future__ import annotations

import numpy as np
import pytest

from ouroloop.datasets.digits import Digits
from ouroloop.datasets.files import from_arrays
from ouroloop.datasets.loaded import LoadedDataset
from ouroloop.datasets.mixture import MixtureTarget
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.samples import Samples


def test_an_array_with_labels_and_held_out_rows():
    x = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    data = from_arrays(x, label=[0, 1] * 5, held_out=(x[:4] + 1, np.array([0.0, 1.0, 0.0, 1.0])))
    assert data.held_out is not None
    np.testing.assert_array_equal(data.real.x, x)
    assert data.real.x.dtype == np.float32
    assert data.real.label.tolist() == [0, 1] * 5
    assert data.held_out.label.dtype == np.int64
    assert data.held_out.id.tolist() == [10, 11, 12, 13]
    assert not data.has_fresh


@pytest.mark.parametrize(
    ("x", "shape", "dtype"),
    [
        (np.arange(5.0), (5, 1), np.float64),
        (np.arange(5), (5, 1), np.float64),
        ([[1, 2], [3, 4]], (2, 2), np.float64),
        (np.zeros((3, 28, 28), np.uint8), (3, 28, 28), np.float32),
        (np.ones((3, 2), bool), (3, 2), np.float32),
        (np.zeros((3, 2), np.float16), (3, 2), np.float16),
    ],
)
def test_numbers_of_any_kind_become_floats(x, shape, dtype):
    data = from_arrays(x)
    assert data.real.x.shape == shape
    assert data.real.x.dtype == dtype
    assert data.held_out is None


def test_a_torch_tensor():
    import torch

    assert from_arrays(torch.ones(4, 2)).real.x.dtype == np.float32


def test_samples_keep_their_columns():
    samples = Samples.of(np.zeros((4, 2)), label=np.arange(4), caption=np.array(list("abcd")))
    data = from_arrays(samples, held_out=samples)
    assert data.real is samples
    assert data.held_out is samples


def test_a_data_set_and_its_options():
    loaded = MixtureTarget(n=20, held_out=5).load(key=Key(3))
    assert from_arrays(loaded) is loaded
    assert len(from_arrays(Digits()).real) == 1347
    keyed = from_arrays(MixtureTarget(n=20, held_out=5), key=Key(3))
    np.testing.assert_array_equal(keyed.real.x, loaded.real.x)
    other = np.ones((7, 2))
    replaced = from_arrays(loaded, held_out=(other, np.zeros(7)))
    assert replaced.held_out is not None
    np.testing.assert_array_equal(replaced.held_out.x, other)
    assert replaced.has_fresh


def test_anything_that_is_a_data_set():
    class Mine:
        name = "mine"
        real = Samples.of(np.zeros((5, 2)))
        held_out = None

        def fresh(self, n: int, *, key: Key) -> Samples:
            return Samples.of(key.rng().normal(size=(n, 2)))

    data = from_arrays(Mine())
    assert isinstance(data, LoadedDataset)
    assert data.name == "mine"
    np.testing.assert_array_equal(data.fresh(3, key=Key(1)).x, Key(1).rng().normal(size=(3, 2)))


BAD = np.ones((4, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.zeros((0, 2))}, r"empty, of shape \(0, 2\)"),
        ({"x": []}, r"empty, of shape \(0,\)"),
        ({"x": np.zeros((3, 0))}, r"empty, of shape \(3, 0\)"),
        ({"x": np.zeros((1, 2))}, r"1 row\(s\); a generator needs at least 2"),
        ({"x": 3.0}, "single value"),
        ({"x": [[1.0], [1.0, 2.0]]}, "ragged"),
        ({"x": np.array([[1, "a"], [2, None]], object)}, "Python objects"),
        ({"x": np.array(["a", "b"])}, "expected numbers"),
        ({"x": np.ones((3, 2), complex)}, "expected numbers"),
        ({"x": np.array(["2020-01-01"] * 3, "datetime64[D]")}, "expected numbers"),
        ({"x": np.array([[1.0, np.nan], [0, 0]])}, "NaN in column 'x', row 0"),
        ({"x": np.array([[1.0, 0], [0, np.inf]])}, "infinity in column 'x', row 1"),
        ({"x": BAD, "label": [0, 1]}, r"labels of shape \(2,\) for 4 rows"),
        ({"x": BAD, "label": [0.5, 1, 2, 3]}, "labels must be classes"),
        ({"x": BAD, "label": [[0], [1], [2], [3]]}, r"labels of shape \(4, 1\)"),
        ({"x": BAD, "held_out": np.ones((4, 3))}, r"have shape \(3,\), those of real data \(2,\)"),
        ({"x": BAD, "held_out": np.zeros((0, 2))}, "held-out data: empty"),
        ({"x": BAD, "held_out": np.full((2, 2), np.nan)}, "held-out data of 'array': NaN"),
        ({"x": BAD, "held_out": (BAD, [0, 1, 0, 1])}, "has the columns label, x, but real data has x"),
        ({"x": BAD, "label": [0, 1, 0, 1], "held_out": BAD}, "has the columns x, but real data has label, x"),
        ({"x": Samples.of(BAD), "label": [0, 1, 0, 1]}, "give them inside"),
        ({"x": MixtureTarget(), "label": [0]}, "give them inside"),
    ],
)
def test_data_that_cannot_be_used(arguments, message):
    with pytest.raises(DataError, match=message):
        from_arrays(**arguments)
