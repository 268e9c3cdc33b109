from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ouroloop.errors import DataError, PartError, StoreError
from ouroloop.features.motion_columns import motion_lengths
from ouroloop.features.motion_evaluator import MotionEvaluator
from ouroloop.features.motion_text import meanings
from ouroloop.features.retrieval import batches_of, retrieval_hits
from ouroloop.keys import Key
from ouroloop.testing.digest import state_digest

KEY = Key(0, ("test",))
QUICK = MotionEvaluator(width=8, embedding=8, steps=4, batch=16, buckets=64)
LEARNING = MotionEvaluator(width=32, embedding=16, steps=60, batch=48, learning_rate=5e-3)


@pytest.fixture(scope="module")
def table(make_waves):
    return make_waves(40, "training")


@pytest.fixture(scope="module")
def quick(table):
    return QUICK.fit(table, key=KEY)


@pytest.fixture(scope="module")
def learned(make_waves):
    return LEARNING.fit(make_waves(200, "training"), key=KEY)


def precision(part, rows):
    meaning, batches = meanings(rows["caption"]), batches_of(len(rows), 32, 5, np.random.default_rng(0))
    text, motion = part.embed_captions(rows["caption"]), part.transform(rows.x)
    hits, blind = retrieval_hits(text=text, motion=motion, meaning=meaning, batches=batches)
    return hits.mean(axis=(0, 1)), blind.mean(axis=(0, 1))


def test_captions_find_motions_that_were_not_learned(learned, make_waves):
    rows = make_waves(128, "held out")
    found, blind = precision(learned, rows)
    assert found[0] > 0.8
    assert (np.diff(found) >= 0).all()
    assert learned.accuracy > 0.7
    assert learned.n_held_out == 20
    order = np.random.default_rng(3).permutation(len(rows))
    shuffled, _ = precision(learned, rows.replace(caption=rows["caption"][order]))
    assert abs(shuffled - blind).max() < 0.15, "captions of other motions must be found as rarely as by chance"


def test_an_unseen_wording_is_near_the_seen_one(learned):
    captions = np.array(
        ["a person waves the left hand quickly", "wave left hand, quick", "bends the right knee calmly"]
    )
    known, near, far = learned.embed_captions(captions)
    assert np.linalg.norm(known - near) < np.linalg.norm(known - far)


def test_features_of_real_motions_have_variance_one_on_average(learned, make_waves):
    spread = learned.transform(make_waves(200, "training").x).var(axis=0).mean()
    assert 0.8 < spread < 1.2  # exactly 1 on the rows that were learned from


def test_padding_and_neighbours_change_nothing(quick, table):
    x = table.x
    wider = np.concatenate([x, np.zeros((len(x), 13, x.shape[2]), x.dtype)], axis=1)
    features = quick.transform(x)
    np.testing.assert_allclose(quick.transform(wider), features, atol=1e-5)
    alone = np.concatenate([quick.transform(x[i : i + 1, : table["length"][i]]) for i in range(5)])
    np.testing.assert_allclose(alone, features[:5], atol=1e-5)
    assert quick.transform(x[:0]).shape == (0, 8)
    assert quick.embed_captions(table["caption"][:0]).shape == (0, 8)


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 200])
def test_motions_of_any_length(quick, frames):
    x = np.ones((3, frames, 7), np.float32)
    assert np.isfinite(quick.transform(x)).all()
    assert np.isfinite(quick.transform(0 * x)).all()


def test_a_row_with_nan_has_nan_features_and_spoils_no_other(quick, table):
    x = table.x[:6].copy()
    x[2, 3] = np.nan
    assert np.isnan(quick.transform(x)).any(axis=1).tolist() == [False, False, True, False, False, False]


def test_the_fit_depends_on_the_data_and_the_options_alone(table, quick, make_waves):
    features = quick.transform(table.x)
    np.testing.assert_array_equal(QUICK.fit(table, key=Key(7)).transform(table.x), features)
    other = MotionEvaluator(width=8, embedding=8, steps=5, batch=16, buckets=64)
    assert not np.array_equal(other.fit(table, key=KEY).transform(table.x), features)
    assert not np.array_equal(QUICK.fit(make_waves(40, "others"), key=KEY).transform(table.x), features)


def test_the_global_streams_and_the_part_are_left_alone(table):
    import torch

    before = state_digest([QUICK, np.random.get_state(), torch.get_rng_state()])  # noqa: NPY002
    QUICK.fit(table, key=KEY).transform(table.x)
    assert state_digest([QUICK, np.random.get_state(), torch.get_rng_state()]) == before  # noqa: NPY002


def test_a_cached_fit_is_the_fit(table, quick, tmp_path, monkeypatch):
    QUICK.fit(table, key=KEY, cache=tmp_path)
    monkeypatch.setattr("ouroloop.features.motion_evaluator._train", None)  # from here on training would fail
    again = QUICK.fit(table, key=KEY, cache=tmp_path)
    np.testing.assert_array_equal(again.transform(table.x), quick.transform(table.x))
    np.testing.assert_array_equal(again.embed_captions(table["caption"]), quick.embed_captions(table["caption"]))
    assert again.precision == quick.precision
    with pytest.raises(TypeError):  # other captions are another entry
        QUICK.fit(table.replace(caption=table["caption"][::-1]), key=KEY, cache=tmp_path)


def test_a_saved_evaluator_measures_small_subsets_in_its_space(table, quick, tmp_path):
    path = tmp_path / "evaluator.safetensors"
    quick.save(path)
    few = table.take(slice(0, 3))
    again = MotionEvaluator(weights=path).fit(few, key=KEY)
    np.testing.assert_array_equal(again.transform(table.x), quick.transform(table.x))
    assert (again.dim, again.precision) == (8, quick.precision)
    with pytest.raises(DataError, match=r"shape \(n, frames, 7\), got \(1, 24, 8\)"):
        MotionEvaluator(weights=path).fit(few.replace(x=np.ones((3, 24, 8))), key=KEY)


def test_a_file_that_is_no_evaluator_is_refused(table, tmp_path):
    from ouroloop.arrays import save_arrays

    with pytest.raises(StoreError, match="missing"):
        MotionEvaluator(weights=tmp_path / "none.safetensors").fit(table, key=KEY)
    save_arrays(tmp_path / "other.safetensors", {"mean": np.zeros(3)}, {"width": 3})
    with pytest.raises(DataError, match="not a motion evaluator"):
        MotionEvaluator(weights=tmp_path / "other.safetensors").fit(table, key=KEY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.only(["x", "length"]), "no column 'caption'"),
        (lambda t: t.replace(caption=np.arange(40)), "needs one text a row"),
        (lambda t: t.replace(caption=np.where(np.arange(40) == 3, " ", t["caption"])), "row 3 has an empty caption"),
        (lambda t: t.replace(caption=np.repeat("a person walks", 40)), "need captions that differ, got 40 times"),
        (lambda t: t.take(slice(0, 19)), "at least 20 captioned motions, got 19"),
        (lambda t: t.replace(x=t.x[:, :, 0]), "rows of shape"),
        (lambda t: t.replace(x=np.where(t.x == 0, np.nan, t.x), length=np.full(40, 24)), "NaN in column 'x'"),
        (lambda t: t.replace(x=np.full(t.x.shape, "a")), "expected numbers"),
    ],
)
def test_data_that_cannot_be_learned(table, change, message):
    with pytest.raises(DataError, match=message):
        QUICK.fit(change(table), key=KEY)


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (np.full(40, 25), "row 0 has length 25; expected 1 to 24"),
        (np.zeros(40, int), "row 0 has length 0"),
        (np.ones(40, int), r"row 0 has length 1 but goes on to frame \d+"),
        (np.full(40, 24.0), "one integer a row"),
        (np.full((40, 1), 24), "one integer a row"),
    ],
)
def test_lengths_that_do_not_fit(table, length, message):
    with pytest.raises(DataError, match=message):
        motion_lengths(table.replace(length=length), "rows")


def test_lengths_are_read_off_where_there_is_no_column(table):
    np.testing.assert_array_equal(motion_lengths(table.only(["x"]), "rows"), table["length"])


def test_unfitted_use_is_refused(table):
    with pytest.raises(PartError, match="call fit"):
        QUICK.transform(table.x)


def test_a_diverging_training_says_so(table):
    with pytest.raises(PartError, match="diverged"):
        MotionEvaluator(width=8, embedding=8, steps=30, learning_rate=1e30).fit(table, key=KEY)


class FakeSentenceTransformer:
    """Vectors that say which words of the tests' captions occur."""

    def __init__(self, name):
        if name == "missing":
            raise OSError("no such model")

    def encode(self, captions, show_progress_bar):
        words = ["waves", "lifts", "bends", "left", "right", "slowly", "quickly", "calmly"]
        return np.array([[float(word in caption) for word in words] for caption in captions])


def test_a_sentence_encoder_takes_the_place_of_the_words(table, monkeypatch, tmp_path):
    package = SimpleNamespace(SentenceTransformer=FakeSentenceTransformer)
    monkeypatch.setitem(sys.modules, "sentence_transformers", package)
    options = {"width": 8, "embedding": 8, "steps": 4, "batch": 16, "text_encoder": "fake"}
    part = MotionEvaluator(**options).fit(table, key=KEY)
    assert part.embed_captions(table["caption"]).shape == (40, 8)
    part.save(tmp_path / "e.safetensors")
    again = MotionEvaluator(weights=tmp_path / "e.safetensors").fit(table, key=KEY)
    np.testing.assert_array_equal(again.embed_captions(table["caption"]), part.embed_captions(table["caption"]))
    with pytest.raises(PartError, match="'missing' could not be loaded: no such model"):
        MotionEvaluator(text_encoder="missing").fit(table, key=KEY)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(PartError, match="pip install sentence-transformers"):
        MotionEvaluator(**options).fit(table, key=KEY)
