from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ouroloop.keys import Key
from ouroloop.metrics.mmd import Mmd, gaussian_kernel, median_distance, mmd2


def test_kernel_of_several_widths_equals_the_mean_of_single_ones():
    a, b = np.random.default_rng(0).standard_normal((2, 6, 3))
    distance = cdist(a, b, "sqeuclidean")
    expected = np.mean([np.exp(-distance / (2 * s**2)) for s in (0.3, 0.6, 1.2, 2.4, 4.8)], axis=0)
    np.testing.assert_allclose(gaussian_kernel(1.2, 2)(a, b), expected)


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_mean_equals_the_closed_form_for_gaussians(sigma):
    """For N(0, 1) and N(d, 1) in the plane: MMD^2 = 2 c (1 - exp(-d^2 / (2 (s^2 + 2)))), c = s^2 / (s^2 + 2)."""
    c = sigma**2 / (sigma**2 + 2)
    shift = 1.0
    expected = 2 * c * (1 - np.exp(-(shift**2) / (2 * (sigma**2 + 2))))
    rng = Key(0).rng()
    values = [
        mmd2(
            real=rng.standard_normal((40, 2)),
            generated=rng.standard_normal((50, 2)) + np.array([shift, 0.0]),
            bandwidth=sigma,
        )
        for _ in range(300)
    ]
    assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / np.sqrt(300))


def test_unbiased_on_equal_laws_and_therefore_sometimes_negative():
    rng = Key(1).rng()
    values = [
        mmd2(real=rng.standard_normal((20, 2)), generated=rng.standard_normal((30, 2)), bandwidth=1.0)
        for _ in range(300)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(300)
    assert min(values) < 0


def test_median_distance():
    x = np.random.default_rng(0).standard_normal((31, 2))
    expected = np.median(cdist(x, x)[np.triu_indices(31, 1)])
    assert median_distance(x) == pytest.approx(expected)
    assert median_distance(np.zeros((5, 2))) == 1.0


def test_the_bandwidth_follows_the_scale_of_the_data(flat, make_cloud):
    def value(scale, **options):
        from ouroloop.protocols import Reference
        from ouroloop.samples import Samples

        reference = Reference(Samples.of(flat.real.x * scale), Samples.of(flat.held_out.x * scale))
        rows = Samples.of(make_cloud(100, 1, shift=1).x * scale)
        return Mmd(**options).fit(reference, key=Key(0)).measure(rows, generator=None, key=Key(1))[0].value

    assert value(1.0) == pytest.approx(value(1000.0))
    assert value(1.0, bandwidth=1.0) != pytest.approx(value(1000.0, bandwidth=1.0))
