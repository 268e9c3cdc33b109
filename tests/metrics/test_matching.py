from __future__ import annotations

import numpy as np
import pytest

from ouroloop.errors import DataError, SpecError
from ouroloop.features.motion_evaluator import MotionEvaluator
from ouroloop.features.pca import Pca
from ouroloop.keys import Key
from ouroloop.metrics.diversity import Diversity
from ouroloop.metrics.fid import Fid
from ouroloop.metrics.kid import Kid
from ouroloop.metrics.matching import Matching
from ouroloop.metrics.prdc import Prdc
from ouroloop.protocols import Reference
from ouroloop.testing.metric_suite import MetricSuite

EVALUATOR = MotionEvaluator(width=32, embedding=16, steps=60, batch=48, learning_rate=5e-3)


@pytest.fixture(scope="module")
def reference(make_waves):
    return Reference(make_waves(200, "training"), make_waves(120, "held out"))


@pytest.fixture(scope="module")
def matching(reference):
    return Matching(features=EVALUATOR).fit(reference, key=Key(0))


def measured(metric, rows, seed=1):
    return {m.metric: m for m in metric.measure(rows, generator=None, key=Key(seed))}


def shuffled(rows):
    return rows.replace(caption=rows["caption"][np.random.default_rng(0).permutation(len(rows))])


def test_real_motions_match_their_captions_as_well_as_the_floor(matching, make_waves):
    found = measured(matching, make_waves(150, "fresh"))
    for name in ("r_precision_1", "r_precision_2", "r_precision_3"):
        assert found[name].low <= found[name].value <= found[name].high
        assert abs(found[name].value - found[name].floor) < 0.15
    assert found["r_precision_1"].value > 0.8 > 0.2 > found["r_precision_blind"].value
    assert found["matching_score"].value < 1.3 * found["matching_score"].floor


def test_captions_of_other_motions_do_not_match(matching, make_waves):
    rows = make_waves(150, "fresh")
    right, wrong = measured(matching, rows), measured(matching, shuffled(rows))
    assert wrong["matching_score"].low > right["matching_score"].high
    assert wrong["r_precision_1"].high < right["r_precision_1"].low
    assert abs(wrong["r_precision_1"].value - wrong["r_precision_blind"].value) < 0.1


def test_one_motion_for_all_captions_finds_nothing(matching, make_waves):
    rows = make_waves(150, "fresh")
    same = rows.take(np.zeros(150, int)).replace(caption=rows["caption"])
    assert measured(matching, same)["r_precision_1"].value < 0.15


def test_a_subject_makes_no_difference(matching, make_waves):
    rows = make_waves(100, "fresh")
    other = rows.replace(caption=np.char.replace(rows["caption"], "someone", "a person"))
    assert repr(measured(matching, rows)) == repr(measured(matching, other))  # NaN is no equal of itself


def test_few_rows_are_searched_among_themselves_and_said_so(matching, make_waves, reference):
    fresh = Matching(features=EVALUATOR).fit(reference, key=Key(0))
    measured(fresh, make_waves(20, "few"))
    assert any("among 20 motions, not 32" in note for note in fresh.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.only(["x", "length"]), "generated rows: no column 'caption'"),
        (lambda t: t.replace(length=np.full(len(t), 3)), r"has length 3 but goes on to frame"),
        (lambda t: t.take(slice(0, 1)), "at least 2 generated rows, got 1"),
        (lambda t: t.replace(x=np.full(t.x.shape, np.nan)), "expected|NaN"),
    ],
)
def test_rows_that_cannot_be_measured(matching, make_waves, change, message):
    with pytest.raises(DataError, match=message):
        measured(matching, change(make_waves(40, "fresh")))


def test_features_without_captions_are_refused(reference):
    with pytest.raises(SpecError, match="cannot place captions; take 'motion'"):
        Matching(features=Pca(components=2)).fit(reference, key=Key(0))


class TestMatching(MetricSuite):
    @pytest.fixture(autouse=True)
    def _data(self, reference, make_waves):
        type(self).data, type(self).waves = reference, staticmethod(make_waves)

    def make(self):
        return Matching(features={"kind": "motion", "width": 8, "embedding": 8, "steps": 4, "batch": 16})

    def reference(self):
        return self.data

    def generated(self, n=100):
        return self.waves(max(n, 18), "generated").take(slice(0, n))


def test_distances_see_a_collapse_in_the_space_of_motions(reference, make_waves):
    """`fid`, `kid`, `prdc` and `diversity` need nothing but the features to measure motions of any length."""
    rows = make_waves(120, "fresh")
    collapsed = rows.take(np.arange(120) % 3)
    for metric, name in ((Fid, "fid"), (Kid, "kid"), (Prdc, "recall"), (Diversity, "diversity")):
        fitted = metric(features=EVALUATOR, resamples=20).fit(reference, key=Key(0))
        good, bad = measured(fitted, rows)[name], measured(fitted, collapsed)[name]
        sign = 1 if name in ("fid", "kid") else -1
        assert sign * (bad.value - good.value) > 0.1, name
        assert abs(good.value - good.floor) < abs(bad.value - good.floor), name
        if name == "fid":
            assert bad.value > 5 * good.value
