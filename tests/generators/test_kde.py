from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import DataError
from ouroloop.generators.kde import Kde, rule_bandwidth
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

X = Key(3).rng().standard_normal((300, 2)) * [1.0, 4.0]


def fit(x: np.ndarray = X, **options) -> Kde:
    return Kde(**options).fit(Pool.of(Samples.of(x)), key=Key(0))


class TestSuite(GeneratorSuite):
    def make(self) -> Kde:
        return Kde()


class TestSuitePerClass(GeneratorSuite):
    conditional = True

    def make(self) -> Kde:
        return Kde(bandwidth=0.3, kernel="tophat", per_class=True)


class TestSuiteImages(GeneratorSuite):
    def make(self) -> Kde:
        return Kde(bandwidth=0.1)

    def data(self) -> Samples:
        return Samples.of(Key(1).rng().random((40, 1, 4, 4), dtype=np.float32))


def test_log_density_is_the_sum_of_the_kernels() -> None:
    h, at = 0.7, Key(8).rng().standard_normal((20, 2))
    squares = ((at[:, None] - X[None]) ** 2).sum(axis=-1)
    expected = np.log((np.exp(-squares / (2 * h**2)) / (2 * np.pi * h**2)).mean(axis=1))
    np.testing.assert_allclose(fit(bandwidth=h).log_density(at), expected, rtol=1e-9)


def test_a_loaded_estimate_has_the_same_density(tmp_path: Path) -> None:
    fitted = fit(bandwidth=0.7)
    fitted.save(tmp_path)
    np.testing.assert_array_equal(Kde(bandwidth=0.7).load(tmp_path).log_density(X[:5]), fitted.log_density(X[:5]))


@pytest.mark.parametrize(("kernel", "added"), [("gaussian", 1.0), ("tophat", 1 / 4)])
def test_the_kernels_variance_is_added_to_the_datas(kernel: str, added: float) -> None:
    h, n = 2.0, 200_000  # a uniform draw from the unit ball has variance 1 / (d + 2) a coordinate
    x = fit(bandwidth=h, kernel=kernel).sample(n, key=Key(1)).x
    expected = X.var(axis=0) + added * h**2
    # Fourth moments of sums of a normal sample and a kernel stay below twice the normal's.
    np.testing.assert_allclose(x.var(axis=0), expected, rtol=5 * np.sqrt(4 / n))


def test_a_ball_holds_all_tophat_draws() -> None:
    drawn = fit(np.zeros((1, 3)), bandwidth=0.5, kernel="tophat").sample(500, key=Key(1)).x
    radius = np.linalg.norm(drawn, axis=1)
    assert radius.max() <= 0.5 + 1e-12
    assert abs((radius < 0.25).mean() - 1 / 8) < 5 * np.sqrt(7 / 64 / 500)


@settings(max_examples=25)
@given(st.floats(1e-3, 1e3), st.sampled_from(["scott", "silverman"]))
def test_a_rules_bandwidth_scales_with_the_data(scale: float, rule: str) -> None:
    assert rule_bandwidth(rule, X * scale) == pytest.approx(scale * rule_bandwidth(rule, X))


def test_the_rules_are_the_published_ones() -> None:
    spread = np.sqrt(X.var(axis=0, ddof=1).mean())
    assert rule_bandwidth("scott", X) == pytest.approx(300 ** (-1 / 6) * spread)
    assert rule_bandwidth("silverman", X) == pytest.approx((300 * 4 / 4) ** (-1 / 6) * spread)


def test_rows_that_do_not_differ_need_a_number() -> None:
    with pytest.raises(DataError, match="rows that differ"):
        fit(np.ones((5, 2)))
    assert fit(np.ones((5, 2)), bandwidth=0.1).sample(3, key=Key(0)).x.shape == (3, 2)
