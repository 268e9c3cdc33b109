from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.metrics.classes import Classes, entropy, total_variation
from ouroloop.protocols import Reference
from ouroloop.samples import Samples


def measure(metric, rows):
    return {m.metric: m for m in metric.measure(rows, generator=None, key=Key(1))}


def labelled(label):
    return Samples.of(np.zeros((len(label), 2)), label=np.asarray(label))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(lambda v: sum(v) > 0.1))
def test_entropy_equals_scipy(values):
    shares = np.array(values) / sum(values)
    assert float(entropy(shares)) == pytest.approx(scipy_entropy(shares), abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_total_variation_is_a_bounded_distance(a, b):
    p, q = (np.bincount(v, minlength=4) / len(v) for v in (a, b))
    tv = float(total_variation(real=p, generated=q))
    assert 0 <= tv <= 1 + 1e-12
    assert tv == pytest.approx(float(total_variation(real=q, generated=p)))
    assert tv == pytest.approx(max(0.0, float(np.maximum(p - q, 0).sum())), abs=1e-12)


def test_lost_classes_from_the_label_column():
    reference = Reference(labelled(np.arange(200) % 4), labelled(np.arange(100) % 4))
    metric = Classes().fit(reference, key=Key(0))
    found = measure(metric, labelled(np.arange(100) % 2))
    assert found["class_tv"].value == pytest.approx(0.5)
    assert found["class_entropy"].value == pytest.approx(np.log(2))
    assert found["class_entropy_normalised"].value == pytest.approx(0.5)
    assert "class_agreement" not in found  # the labels are the classes: agreement would mean nothing
    assert measure(metric, labelled(np.arange(80) % 4))["class_tv"].value == 0.0


def test_labels_that_real_rows_do_not_have_count_as_wrong():
    reference = Reference(labelled(["a", "b"] * 50), labelled(["a", "b"] * 50))
    found = measure(Classes().fit(reference, key=Key(0)), labelled(["a", "c"] * 30))
    assert found["class_tv"].value == pytest.approx(0.5)


def test_intervals_are_those_of_a_multinomial():
    rng = Key(0).rng()
    reference = Reference(labelled(np.arange(1000) % 2), labelled(np.arange(1000) % 2))
    metric = Classes(resamples=600).fit(reference, key=Key(0))
    found = measure(metric, labelled((rng.random(400) < 0.8).astype(int)))["class_tv"]
    spread = np.sqrt(0.8 * 0.2 / 400 + 0.25 / 1000)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("k", [1, 2, 10])
def test_intervals_end_where_entropy_does(k):
    metric = Classes(resamples=200).fit(Reference(labelled(np.arange(40 * k) % k)), key=Key(0))
    found = measure(metric, labelled(np.random.default_rng(0).permutation(np.arange(30 * k) % k)))
    for name, most in (("class_entropy", np.log(k)), ("class_entropy_normalised", float(k > 1))):
        assert found[name].value == pytest.approx(most)
        assert found[name].high == pytest.approx(most)
    few = measure(metric, labelled(np.arange(20 * k) % max(1, k - 1)))  # a class less: the true entropy may be higher
    assert few["class_entropy"].high <= np.log(max(2, k))


def test_the_classifier_sees_what_an_unconditional_or_disobedient_generator_makes(digits, classifier):
    metric = Classes(features=classifier).fit(digits, key=Key(0))
    rows = digits.held_out
    honest = measure(metric, rows)
    assert honest["class_tv"].value == 0.0
    assert honest["class_agreement"].value > 0.9
    ones = rows.take(np.flatnonzero(rows.label == 1))
    lost = measure(metric, Samples.of(ones.x))
    assert lost["class_entropy"].value < 0.5
    assert lost["class_tv"].value > 0.8
    assert "class_agreement" not in lost
    disobedient = measure(metric, Samples.of(ones.x, label=np.arange(len(ones)) % 10))
    assert disobedient["class_agreement"].value < 0.3


def test_missing_labels_are_refused_with_advice(flat):
    with pytest.raises(DataError, match=r"real rows have no column 'label'.*features: classifier"):
        Classes().fit(flat, key=Key(0))
    metric = Classes(features="identity").fit(Reference(labelled([0, 1] * 20), labelled([0, 1] * 20)), key=Key(0))
    with pytest.raises(DataError, match="generated rows have no column 'label'"):
        measure(metric, Samples.of(np.zeros((10, 2))))
