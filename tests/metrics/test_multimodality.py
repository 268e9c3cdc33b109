from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ouroloop.errors import DataError, PartError
from ouroloop.features.motion_evaluator import MotionEvaluator
from ouroloop.keys import Key
from ouroloop.metrics.diversity import pairwise_distance
from ouroloop.metrics.multimodality import Multimodality
from ouroloop.protocols import Reference
from ouroloop.testing.metric_suite import MetricSuite

FEATURES = MotionEvaluator(width=8, embedding=8, steps=4, batch=16)


@pytest.fixture(scope="module")
def reference(make_waves):
    return Reference(make_waves(150, "training"), make_waves(60, "held out"))


class Replay:
    """Draws real motions for captions: always the same one, or any of those with the caption."""

    condition_columns = ("caption", "length")

    def __init__(self, table, one):
        self.table, self.one = table, one

    def sample(self, n, *, key, condition=None):
        rng = key.rng()
        rows = []
        for caption in condition["caption"]:
            fitting = np.flatnonzero(self.table["caption"] == caption)
            rows.append(fitting[0] if self.one else rng.choice(fitting))
        assert len(rows) == n
        return self.table.take(np.array(rows))


class Recording(Replay):
    """Keeps what it was asked for."""

    def sample(self, n, *, key, condition=None):
        self.asked = condition
        return super().sample(n, key=key, condition=condition)


def measure(metric, rows, generator=None):
    (found,) = metric.measure(rows, generator=generator, key=Key(3))
    return found


def test_rows_that_share_a_caption_are_compared(reference, make_waves):
    metric = Multimodality(of="rows", features=FEATURES).fit(reference, key=Key(0))
    rows = make_waves(40, "fresh")
    caption = np.repeat(["a person walks", "someone walks", "a person runs", "he jumps"], [2, 1, 4, 33])
    found = measure(metric, rows.replace(caption=caption))
    x = FEATURES.fit(reference.real, key=Key(0)).transform(rows.x)
    expected = np.mean([pairwise_distance(x[a:b]) for a, b in ((0, 3), (3, 7), (7, 40))])
    np.testing.assert_allclose(found.value, expected)
    assert (found.n, found.low <= found.value <= found.high) == (40, True)


def test_real_motions_are_at_the_floor(reference, make_waves):
    metric = Multimodality(of="rows", features=FEATURES).fit(reference, key=Key(0))
    found = measure(metric, make_waves(150, "fresh"))
    assert found.low < found.floor < found.high


def test_a_model_with_one_motion_a_caption_has_none(reference):
    metric = Multimodality(features=FEATURES, captions=5, repeats=4).fit(reference, key=Key(0))
    pool = reference.held_out
    one, any_of = Recording(pool, one=True), Recording(pool, one=False)
    assert measure(metric, pool, one).value == 0
    assert measure(metric, pool, any_of).value > 0
    assert len(one.asked["caption"]) == len(one.asked["length"]) == 20
    assert len(np.unique(one.asked["caption"])) == 5
    np.testing.assert_array_equal(one.asked["caption"], any_of.asked["caption"])


def test_what_cannot_be_measured_says_why(reference, make_waves):
    rows = make_waves(40, "fresh")
    metric = Multimodality(of="rows", features=FEATURES).fit(reference, key=Key(0))
    with pytest.raises(DataError, match="none of 40 rows shares its caption"):
        measure(metric, rows.replace(caption=np.array([f"deed {i}" for i in range(40)])))
    with pytest.raises(DataError, match="no column 'caption'"):
        measure(metric, rows.only(["x"]))
    with pytest.raises(PartError, match="takes no captions; set of: rows"):
        measure(Multimodality(features=FEATURES).fit(reference, key=Key(0)), rows, SimpleNamespace())


def test_without_shared_captions_there_is_no_floor(reference, make_waves):
    real = reference.real.replace(caption=np.array([f"deed {i}" for i in range(150)]))
    metric = Multimodality(of="rows", features=FEATURES).fit(Reference(real), key=Key(0))
    assert np.isnan(measure(metric, make_waves(40, "fresh")).floor)


class TestMultimodality(MetricSuite):
    @pytest.fixture(autouse=True)
    def _data(self, reference, make_waves):
        type(self).data, type(self).waves = reference, staticmethod(make_waves)

    def make(self):
        return Multimodality(of="rows", features=FEATURES)

    def reference(self):
        return self.data

    def generated(self, n=100):
        return self.waves(max(n, 18), "generated").take(slice(0, n))


class TestMultimodalityOfTheModel(TestMultimodality):
    reads_rows = False

    def make(self):
        return Multimodality(features=FEATURES, captions=4, repeats=3)

    def generator(self):
        return Replay(self.data.held_out, one=False)
