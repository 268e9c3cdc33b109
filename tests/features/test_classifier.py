import gzip
from pathlib import Path

import numpy as np
import pytest

from ouroloop.errors import DataError, PartError
from ouroloop.features.classifier import Classifier
from ouroloop.keys import Key
from ouroloop.samples import Samples
from ouroloop.testing.digest import state_digest

KEY = Key(0, ("test",))
QUICK = Classifier(width=2, steps=20, batch=16)
MNIST = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"


def bars(n=80, shape=(8, 8), seed=0):
    """Two classes of images: a bright upper or lower half; or of rows, where they are not images."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    x = 0.3 * rng.standard_normal((n, *shape))
    half = shape[-2] // 2 if len(shape) > 1 else shape[0] // 2
    for i in range(n):
        x[i][..., : half if label[i] else None, :][..., half * (1 - label[i]) :, :] += 1
    return Samples.of(x.astype(np.float32), label=label)


def vectors(n=80, d=5):
    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    return Samples.of(rng.standard_normal((n, d)) + 3.0 * label[:, None], label=label)


def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    table = Samples.of((data.images[order] / 16).astype(np.float32), label=data.target[order])
    return table.take(slice(0, 1200)), table.take(slice(1200, None))


@pytest.mark.parametrize("flat", [False, True])
def test_digits_are_learned(flat):
    training, test = digits()
    if flat:
        training, test = (t.replace(x=t.x.reshape(len(t), 64)) for t in (training, test))
    part = Classifier().fit(training, key=KEY, held_out=test)
    assert part.accuracy >= 0.97
    assert part.n_held_out == 597
    assert part.accuracy == np.mean(part.predict(test.x) == test.label)
    assert part.transform(test.x).shape == (597, 84)


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.exists(), reason="no MNIST files in ../shared/data/mnist")
def test_mnist_is_learned():
    def read(kind, n):
        images = gzip.decompress((MNIST / f"{kind}-images-idx3-ubyte.gz").read_bytes())
        label = gzip.decompress((MNIST / f"{kind}-labels-idx1-ubyte.gz").read_bytes())
        x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)[:n]
        return Samples.of(x, label=np.frombuffer(label, np.uint8, offset=8)[:n].astype(int))

    assert Classifier().fit(read("train", 12_000), key=KEY, held_out=read("t10k", 10_000)).accuracy >= 0.98


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (3, 9, 7), (28, 28), (6, 6), (2, 5, 40), (5, 4), (2, 3, 2, 2)])
def test_rows_of_any_shape(shape):
    table = bars(40, shape)
    part = QUICK.fit(table, key=KEY)
    assert part.transform(table.x).shape == (40, 84)
    assert part.transform(table.x).dtype == np.float64
    assert part.transform(table.x[:0]).shape == (0, 84)


def test_the_internal_split_measures_accuracy():
    table = bars(200)
    part = Classifier(width=4, steps=100).fit(table, key=KEY)
    assert part.n_held_out == 20
    assert part.accuracy > 0.9


def test_probabilities_are_those_of_the_prediction():
    table = vectors()
    part = QUICK.fit(table.replace(label=np.where(table.label, 7, -3)), key=KEY)
    probability = part.probabilities(table.x)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert part.classes.tolist() == [-3, 7]
    np.testing.assert_array_equal(part.predict(table.x), part.classes[probability.argmax(axis=1)])


def test_labels_may_be_text():
    table = vectors()
    names = np.array(["cat", "dog"])[table.label]
    part = Classifier(width=2, steps=100).fit(table.replace(label=names), key=KEY)
    assert (part.predict(table.x) == names).mean() > 0.9


def test_the_fit_depends_on_the_data_and_the_options_alone():
    table = bars()
    features = QUICK.fit(table, key=Key(0)).transform(table.x)
    np.testing.assert_array_equal(QUICK.fit(table, key=Key(1)).transform(table.x), features)
    other = Classifier(width=2, steps=21, batch=16).fit(table, key=Key(0))
    assert not np.array_equal(other.transform(table.x), features)
    assert not np.array_equal(QUICK.fit(bars(seed=1), key=Key(0)).transform(table.x), features)


def test_the_global_streams_are_left_alone():
    import torch

    before = state_digest([np.random.get_state(), torch.get_rng_state()])  # noqa: NPY002
    part = QUICK.fit(bars(), key=KEY)
    part.transform(bars().x)
    assert state_digest([np.random.get_state(), torch.get_rng_state()]) == before  # noqa: NPY002


def test_fit_returns_a_new_object():
    before = state_digest(QUICK)
    part = QUICK.fit(bars(), key=KEY)
    assert part is not QUICK
    assert state_digest(QUICK) == before


def test_a_cached_fit_is_the_fit(tmp_path, monkeypatch):
    table = bars()
    fresh = QUICK.fit(table, key=KEY)
    first = QUICK.fit(table, key=KEY, cache=tmp_path)
    monkeypatch.setattr("ouroloop.features.classifier._train", None)  # from here on training would fail
    again = QUICK.fit(table, key=KEY, cache=tmp_path)
    for part in (first, again):
        np.testing.assert_array_equal(part.transform(table.x), fresh.transform(table.x))
        assert (part.accuracy, part.n_held_out) == (fresh.accuracy, fresh.n_held_out)
    with pytest.raises(TypeError):  # other data are another entry
        QUICK.fit(bars(seed=1), key=KEY, cache=tmp_path)


def test_a_damaged_cache_is_trained_again(tmp_path):
    table = bars()
    features = QUICK.fit(table, key=KEY, cache=tmp_path).transform(table.x)
    (path,) = (tmp_path / "features").iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(RuntimeWarning, match="fitted again"):
        again = QUICK.fit(table, key=KEY, cache=tmp_path)
    np.testing.assert_array_equal(again.transform(table.x), features)


def test_rows_are_transformed_independently_of_their_block():
    part = QUICK.fit(bars(), key=KEY)
    x = bars(300, seed=3).x
    np.testing.assert_allclose(part.transform(x)[250:], part.transform(x[250:]), atol=1e-5)


def test_a_row_with_nan_has_nan_features_and_spoils_no_other():
    part = QUICK.fit(bars(), key=KEY)
    x = bars(6).x.copy()
    x[2] = np.nan
    assert np.isnan(part.transform(x)).any(axis=1).tolist() == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (bars().only(["x"]), "need a column 'label'"),
        (bars().replace(label=np.zeros(80)), "at least two classes"),
        (bars(19), "at least 10 rows a class, got 19 rows of 2"),
        (bars().replace(x=np.full((80, 8, 8), np.nan)), "NaN in column 'x', row 0"),
        (Samples.of(np.array(["a", "b"] * 20), label=np.arange(40) % 2), "need numeric rows"),
        (Samples.of(np.arange(40.0), label=np.arange(40) % 2), "need numeric rows"),
    ],
)
def test_data_that_cannot_be_learned(table, message):
    with pytest.raises(DataError, match=message):
        QUICK.fit(table, key=KEY)


def test_unfitted_or_mismatched_use_is_refused():
    with pytest.raises(PartError, match="call fit"):
        Classifier().transform(bars().x)
    with pytest.raises(PartError, match="call fit"):
        _ = Classifier().accuracy
    with pytest.raises(DataError, match=r"shape \(8, 8\), got \(9, 9\)"):
        QUICK.fit(bars(), key=KEY).transform(bars(shape=(9, 9)).x)


def test_a_diverging_training_says_so():
    with pytest.raises(PartError, match="diverged"):
        Classifier(width=2, steps=30, learning_rate=1e30).fit(bars(), key=KEY)
