from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.metrics import distances
from ouroloop.metrics.prdc import Prdc, _all_four, precision_recall_density_coverage
from ouroloop.protocols import Reference
from ouroloop.samples import Samples


def published(real, fake, k):
    """Naeem et al.'s reference implementation, from its formulas, by full matrices."""
    rr, ff, rf = cdist(real, real), cdist(fake, fake), cdist(real, fake)
    real_radius, fake_radius = np.sort(rr, axis=1)[:, k], np.sort(ff, axis=1)[:, k]
    return {
        "precision": (rf < real_radius[:, None]).any(axis=0).mean(),
        "recall": (rf < fake_radius[None, :]).any(axis=1).mean(),
        "density": (rf < real_radius[:, None]).sum(axis=0).mean() / k,
        "coverage": (rf.min(axis=1) < real_radius).mean(),
    }


@settings(deadline=None)
@given(st.integers(6, 30), st.integers(6, 30), st.integers(1, 5), st.integers(0, 99))
def test_equals_the_published_definition(m, n, k, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((m, 2)), rng.standard_normal((n, 2)) + 0.5
    found = precision_recall_density_coverage(real=a, generated=b, k=k)
    assert found == pytest.approx(published(a, b, k))


def test_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((23, 2)), rng.standard_normal((31, 2))
    whole = precision_recall_density_coverage(real=a, generated=b)
    monkeypatch.setattr(distances, "BLOCK_VALUES", 40)
    assert precision_recall_density_coverage(real=a, generated=b) == pytest.approx(whole)


def test_a_collapsed_generator_has_high_precision_and_no_recall(make_cloud):
    """The mistake that is to be impossible: with the arguments swapped this reads as recall 1, precision 0."""
    real = make_cloud(500, "real").x
    generated = real[:1] + 1e-3 * make_cloud(500, "tiny").x
    found = precision_recall_density_coverage(real=real, generated=generated)
    assert found["precision"] > 0.95
    assert found["recall"] < 0.02
    assert found["coverage"] < 0.05


def test_scattered_rows_have_low_precision(make_cloud):
    found = precision_recall_density_coverage(
        real=make_cloud(500, "real").x, generated=make_cloud(500, "wide", scale=10).x
    )
    assert found["precision"] < 0.2
    assert found["recall"] > 0.9
    assert found["density"] < 0.2


def test_a_lost_mode_costs_recall_and_coverage_and_not_precision(make_cloud):
    mode = np.arange(600) % 2 * 20.0
    real = make_cloud(600, "real").x + mode[:, None]
    found = precision_recall_density_coverage(real=real, generated=make_cloud(600, "one").x)
    assert found["precision"] > 0.9
    assert found["recall"] == pytest.approx(0.5, abs=0.06)
    assert found["coverage"] == pytest.approx(0.5, abs=0.06)


def test_real_against_real_is_all_but_covered(make_cloud):
    """Expected coverage of equal laws is 1 - ((m-1)...(m-k)) / ((n+m-1)...(n+m-k)), Naeem et al., Eq. 9."""
    m = n = 600
    k = 5
    values = [
        precision_recall_density_coverage(real=make_cloud(m, ("a", i)).x, generated=make_cloud(n, ("b", i)).x, k=k)[
            "coverage"
        ]
        for i in range(8)
    ]
    lost = np.prod([(m - 1 - i) / (n + m - 1 - i) for i in range(k)])
    assert np.mean(values) == pytest.approx(1 - lost, abs=0.01)


def test_arguments_have_to_be_named():
    kinds = [p.kind for p in inspect.signature(precision_recall_density_coverage).parameters.values()]
    assert set(kinds) == {inspect.Parameter.KEYWORD_ONLY}


def test_resamples_of_once_each_are_the_estimate():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((20, 2)), rng.standard_normal((25, 2))
    balls = distances.nearest(a, a, 3, same=True)
    for values in _all_four(a, balls, b, 3, np.ones((2, 20)), np.ones((2, 25))).values():
        np.testing.assert_allclose(values, values[0])


def test_intervals_have_about_the_spread_of_repetitions(make_cloud):
    """The resamples keep the balls' sizes, so this is approximate: within a factor of two, or wider near 1."""
    found = {name: ([], []) for name in ("precision", "recall", "density", "coverage")}
    for i in range(40):
        reference = Reference(make_cloud(9, 0, dim=5), make_cloud(200, ("r", i), dim=5))
        metric = Prdc(floor_repeats=0).fit(reference, key=Key(i))
        rows = make_cloud(250, ("g", i), dim=5, shift=0.4, scale=0.8)
        for m in metric.measure(rows, generator=None, key=Key(i)):
            found[m.metric][0].append(m.value)
            found[m.metric][1].append((m.high - m.low) / (2 * 1.96))
    for name, (values, widths) in found.items():
        ratio = np.mean(widths) / np.std(values)
        assert ratio > 0.6, f"{name}: {ratio:.2f}"
        if name in ("recall", "density"):  # away from 1
            assert ratio < 2.0, f"{name}: {ratio:.2f}"


def test_too_few_rows_for_k_neighbours_are_refused(flat, make_cloud):
    metric = Prdc(k=5).fit(flat, key=Key(0))
    with pytest.raises(DataError, match="more than 5 rows on either side, got 200 real and 5 generated"):
        metric.measure(make_cloud(5, 0), generator=None, key=Key(1))
    with pytest.raises(DataError, match="lower k"):
        Prdc(k=300).fit(flat, key=Key(0))
    with pytest.raises(DataError, match="3 real"):
        precision_recall_density_coverage(real=np.zeros((3, 2)), generated=np.zeros((9, 2)))


def test_identical_rows_do_not_break_it(flat):
    found = Prdc().fit(flat, key=Key(0)).measure(Samples.of(np.zeros((50, 2))), generator=None, key=Key(1))
    values = {m.metric: m.value for m in found}
    assert values["precision"] == 1.0
    assert values["recall"] == 0.0
