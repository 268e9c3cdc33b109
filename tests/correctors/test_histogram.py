import numpy as np
import pytest

from ouroloop.correctors.histogram import BLOCK, Histogram, rejection_histogram
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

KEY = Key(0, ("test",))


def one_by_one(points, t, rng, n, truncate):
    """The released algorithm, a candidate at a time."""
    pdf, ex, ey = np.histogram2d(points[:, 0], points[:, 1], bins=10, density=True)
    wx, wy, q0 = ex[1] - ex[0], ey[1] - ey[0], 1 / (2 * np.pi)
    bound = ((1 - t) * pdf.max() + t * q0) / q0
    accepted = []
    while len(accepted) < n:
        candidates, uniforms = rng.standard_normal((BLOCK, 2)), rng.random(BLOCK)
        for (x, y), u in zip(candidates, uniforms, strict=True):
            place = ((x - ex[0]) / wx, (y - ey[0]) / wy)
            i, j = map(int, place) if truncate else (int(np.floor(p)) for p in place)
            h = pdf[i, j] if 0 <= i < 10 and 0 <= j < 10 else 0.0
            q = q0 * np.exp(-(x * x + y * y) / 2)
            if ((1 - t) * h + t * q) / (bound * q) > u:
                accepted.append((x, y))
    return np.array(accepted[:n])


def points(seed=0, n=25):
    return np.random.default_rng(seed).standard_normal((n, 2)) * [0.7, 1.2] + [0.3, -0.2]


def stream(key):
    rng = key.rng()
    return lambda block: (rng.standard_normal((1, BLOCK, 2)), rng.random((1, BLOCK)))


@pytest.mark.parametrize("truncate", [True, False])
@pytest.mark.parametrize("strength", [0.0, 0.1, 1.0, 5.0, float("inf")])
def test_the_rows_are_those_of_the_released_algorithm(strength, truncate):
    part = Histogram(correction_strength=strength, truncate=truncate)
    rows = Samples.of(points())
    answer = part.fit(Reference(rows), key=KEY).correct(rows, key=KEY)
    expected = one_by_one(points(), part.share, KEY.rng(), 25, truncate)
    np.testing.assert_allclose(answer.proposed.x, expected, rtol=0, atol=0)
    assert (answer.verdict == Verdict.CHANGED).all()


def test_many_replicas_are_what_each_is_alone():
    keys = [KEY.child(i) for i in range(3)]
    share = np.array([0.0, 0.5, 0.9, 0.0, 0.5, 0.9])
    streams = np.array([0, 0, 0, 1, 2, 1])
    data = np.stack([points(i) for i in range(6)])
    rngs = [key.rng() for key in keys]

    def draw(block):
        blocks = [(rng.standard_normal((BLOCK, 2)), rng.random(BLOCK)) for rng in rngs]
        return np.stack([b[0] for b in blocks]), np.stack([b[1] for b in blocks])

    together, found = rejection_histogram(data, share, draw, streams=streams)
    assert found.tolist() == [25] * 6
    for i in range(6):
        alone, _ = rejection_histogram(data[[i]], share[[i]], stream(keys[streams[i]]))
        np.testing.assert_array_equal(together[i], alone[0])


@pytest.mark.parametrize("truncate", [True, False])
@pytest.mark.parametrize("t", [0.0, 0.3])
def test_accepted_rows_have_the_density_of_the_clipped_rejection(t, truncate):
    # min(q, ((1 - t) H + t q) / M) up to a constant, by quadrature on a fine grid.
    data = points(3)
    x, _ = rejection_histogram(np.tile(data, (40, 1))[None], np.array([t]), stream(KEY), truncate=truncate)
    pdf, ex, ey = np.histogram2d(*data.T, bins=10, density=True)
    edges = [np.concatenate(([e[0] - (e[1] - e[0])], e)) if truncate else e for e in (ex, ey)]
    grid = np.arange(-5, 5, 0.01) + 0.005
    i, j = (np.searchsorted(e, grid, side="right") - 1 - truncate for e in edges)
    i, j = (np.where((k == -1) & (grid >= e[0]), 0, k) for k, e in zip((i, j), edges, strict=True))
    inside = ((i >= 0) & (i < 10))[:, None] & ((j >= 0) & (j < 10))
    h = np.where(inside, pdf[np.clip(i, 0, 9)[:, None], np.clip(j, 0, 9)], 0.0)
    q = np.exp(-(grid[:, None] ** 2 + grid**2) / 2) / (2 * np.pi)
    bound = ((1 - t) * pdf.max() + t / (2 * np.pi)) * 2 * np.pi
    density = np.minimum(q, ((1 - t) * h + t * q) / bound)
    density /= density.sum()
    mean = [(density.sum(axis=1) * grid).sum(), (density.sum(axis=0) * grid).sum()]
    second = [(density.sum(axis=1) * grid**2).sum(), (density.sum(axis=0) * grid**2).sum()]
    n = x.shape[1]
    assert (np.abs(x[0].mean(axis=0) - mean) < 5 * x[0].std(axis=0) / np.sqrt(n)).all()
    assert (np.abs((x[0] ** 2).mean(axis=0) - second) < 5 * (x[0] ** 2).std(axis=0) / np.sqrt(n)).all()


def test_truncation_drifts_to_negative_values_and_floor_does_not():
    data = np.random.default_rng(0).standard_normal((300, 25, 2))
    means = {}
    for truncate in (True, False):
        rng = KEY.rng()
        draw = lambda block, rng=rng: (rng.standard_normal((300, BLOCK, 2)), rng.random((300, BLOCK)))  # noqa: E731
        x, _ = rejection_histogram(data, np.zeros(300), draw, truncate=truncate)
        means[truncate] = x.mean() - data.mean()
    # Means of 15,000 numbers of unit variance: a standard error is 0.008.
    assert means[True] < -0.03
    assert abs(means[False]) < 0.03


def test_infinite_strength_draws_from_the_target():
    rows = Samples.of(points(n=2000) + 3.0)
    x = Histogram().fit(Reference(rows), key=KEY).correct(rows, key=KEY).proposed.x
    assert np.abs(x.mean(axis=0)).max() < 5 / np.sqrt(2000)
    np.testing.assert_allclose(np.cov(x.T), np.eye(2), atol=5 * np.sqrt(2 / 2000))


def test_points_that_the_proposal_never_reaches_fail_instead_of_running_for_ever():
    rows = Samples.of(np.full((3, 2), 40.0) + np.arange(3)[:, None])
    answer = Histogram(correction_strength=0.0).fit(Reference(rows), key=KEY).correct(rows, key=KEY)
    assert (answer.verdict == Verdict.FAILED).all()


def test_one_row_and_equal_rows_have_a_histogram():
    rows = Samples.of(np.zeros((2, 2)))
    answer = Histogram(correction_strength=0.0).fit(Reference(rows), key=KEY).correct(rows, key=KEY)
    assert (np.abs(answer.proposed.x) < 0.6 + 0.1).all()  # NumPy's box of +-0.5, a bin wider below


def test_only_the_plane():
    with pytest.raises(DataError, match=r"shape \(n, 2\); got \(4, 3\)"):
        Histogram().fit(Reference(Samples.of(np.zeros((4, 3)))), key=KEY)
