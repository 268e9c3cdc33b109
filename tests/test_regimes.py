import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop import regimes
from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples, synthetic_ids

KEY = Key(0).child("select")


def rows(t, n):
    return Pool.of(Samples.of(np.full((n, 1), float(t)), id=synthetic_ids(t, 0, n), origin=np.full(n, t)))


def counts(pool):
    """Generation of origin -> number of rows."""
    origins, number = np.unique(np.concatenate([p.origin for p in pool.parts]), return_counts=True)
    return dict(zip(origins.tolist(), number.tolist(), strict=True))


REAL = Pool.of(Samples.of(np.zeros((50, 1))))
HISTORY = [rows(t, 25) for t in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("regime", "expected"),
    [
        (regimes.Replace(), {4: 25}),
        (regimes.FixedReal(), {0: 50, 4: 25}),
        (regimes.FreshReal(), {0: 50, 4: 25}),
        (regimes.RealOnly(), {0: 50}),
        (regimes.Accumulate(), {0: 50, 1: 25, 2: 25, 3: 25, 4: 25}),
        (regimes.Accumulate(window=2), {0: 50, 3: 25, 4: 25}),
        (regimes.LinearAccumulate(), {0: 50, 1: 6, 2: 12, 3: 18, 4: 25}),
        (regimes.LinearAccumulate(window=1), {0: 50, 4: 25}),
    ],
)
def test_which_rows_are_trained_on(regime, expected):
    assert counts(regime.select(REAL, HISTORY, 4, key=KEY)) == expected


def test_subsample_draws_distinct_rows_of_the_pool_in_its_proportions():
    regime = regimes.AccumulateSubsample(size=100)
    totals = np.zeros(5)
    for seed in range(400):
        pool = regime.select(REAL, HISTORY, 4, key=Key(seed))
        ids = np.concatenate([p.id for p in pool.parts])
        assert len(np.unique(ids)) == len(ids) == 100
        totals += [counts(pool).get(t, 0) for t in range(5)]
    share = np.array([50, 25, 25, 25, 25]) / 150
    error = np.sqrt(share * (1 - share) / (400 * 100))
    assert (np.abs(totals / totals.sum() - share) < 4 * error).all()


def test_scsc_gaussian_sizes():
    """SCSC's toy: 75 rows at generation 1, then 1,275, 3,075 and 6,075 at 100, 250 and 500 (published sizes)."""
    history = [rows(t, 25) for t in range(1, 501)]
    sizes = {t: len(regimes.LinearAccumulate().select(REAL, history[:t], t, key=KEY)) for t in (1, 100, 250, 500)}
    assert sizes == {1: 75, 100: 1275, 250: 3075, 500: 6075}


@given(st.floats(0, 10), st.integers(0, 10_000))
def test_draws_is_the_least_whole_number_that_reaches_the_ratio(ratio, n):
    draws = regimes.Replace(synthetic_ratio=ratio).draws(n, 1)
    assert isinstance(draws, int)
    assert ratio * n - 1e-6 <= draws < ratio * n + 1


def test_draws_is_not_fooled_by_rounding():
    assert [regimes.FixedReal(synthetic_ratio=p).draws(12_000, 1) for p in (0.2, 0.5, 1.0, 1.5)] == [
        2400,
        6000,
        12_000,
        18_000,
    ]


@pytest.mark.parametrize("ratio", [-1, float("nan"), float("inf")])
def test_bad_ratio_is_refused(ratio):
    with pytest.raises(SpecError, match="synthetic_ratio"):
        regimes.Replace(synthetic_ratio=ratio)


def test_real_only_takes_no_synthetic_rows():
    with pytest.raises(SpecError, match="must be 0"):
        regimes.RealOnly(synthetic_ratio=1.0)
    assert regimes.RealOnly().draws(100, 3) == 0
