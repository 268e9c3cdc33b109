from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop import regimes
from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.theory.rows import MAX_GENERATIONS, REGIMES, plan, responses

PARTS = {
    "accumulate": regimes.Accumulate,
    "fixed_real": regimes.FixedReal,
    "fresh_real": regimes.FreshReal,
    "linear_accumulate": regimes.LinearAccumulate,
    "replace": regimes.Replace,
}


@pytest.mark.parametrize(
    ("name", "window"), [*((name, None) for name in PARTS), ("accumulate", 3), ("linear_accumulate", 3)]
)
def test_the_plan_is_what_the_regime_selects(name, window):
    """Rows are tagged with their generation; the regime itself is asked which it takes."""
    n, k, last = 10, 7, 12
    accumulates = "accumulate" in name
    part = PARTS[name](synthetic_ratio=k / n, **({"window": window} if accumulates else {}))
    rows = plan(name, last, n, k, window)
    real = Pool.of(Samples.of(np.zeros(n)))
    history = []
    for t in range(1, last + 1):
        history.append(Pool.of(Samples.of(np.arange(k), origin=np.full(k, t))))
        chosen = part.select(real, history if accumulates else history[-1:], t, key=Key(0)).materialise()
        counts = np.bincount(chosen.origin, minlength=last + 1)
        assert counts[0] == rows.real[t] + rows.fresh[t]
        np.testing.assert_array_equal(counts[1:], rows.counts[t, 1:])
        for i in range(1, t + 1):  # always the first rows of a generation
            np.testing.assert_array_equal(chosen.x[chosen.origin == i], np.arange(counts[i]))


def test_scscs_training_set_grows_as_published():
    rows = plan("linear_accumulate", 500, 50, 25)
    assert rows.rows[[0, 1, 100, 250, 500]].tolist() == [50, 75, 1275, 3075, 6075]
    assert rows.synthetic_ratio[500] == pytest.approx(6025 / 50)


@pytest.mark.parametrize("name", REGIMES)
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_responses_are_those_of_every_row_followed_by_hand(name, share):
    """The weight of each row in each fitted mean, by pushing a unit of noise through the loop's definition."""
    n, k, last = 4, 3, 7
    rows = plan(name, last, n, k)
    weights = responses(rows, share)

    def means(noise_of, real_mean=0.0, fresh_noise=None):
        m = np.zeros(last + 1)
        for t in range(last + 1):
            total = rows.real[t] * real_mean
            if fresh_noise == t:
                total += 1.0
            for i in range(1, t + 1):
                for r in range(rows.counts[t, i]):
                    total += share * m[i - 1] + (1.0 if noise_of == (i, r) else 0.0)
            m[t] = total / rows.rows[t]
        return m

    np.testing.assert_allclose(weights.real, means(None, real_mean=1.0), atol=1e-12)
    for i in range(1, last + 1):
        squares = sum(means((i, r)) ** 2 for r in range(k))
        np.testing.assert_allclose(weights.synthetic[:, i], squares, atol=1e-12)
    squares = sum(rows.fresh[t] * means(None, fresh_noise=t) ** 2 for t in range(last + 1))
    np.testing.assert_allclose(weights.fresh, squares, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(REGIMES),
    last=st.integers(0, 40),
    n=st.integers(1, 10**7),
    k=st.sampled_from([0, 1, 2, 25, 10**6, 5 * 10**7]),
    share=st.floats(0, 1),
)
def test_any_size_gives_finite_weights(name, last, n, k, share):
    if name == "replace" and k == 0 and last:
        with pytest.raises(SpecError, match="draws"):
            plan(name, last, n, k)
        return
    weights = responses(plan(name, last, n, k), share)
    for values in (weights.real, weights.fresh, weights.synthetic):
        assert np.isfinite(values).all()
        assert (values >= -1e-12).all()
    assert (weights.real <= 1 + 1e-9).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("accumulate_subsample", 5, 10, 10), "no closed form"),
        (("accumulate", MAX_GENERATIONS + 1, 10, 10), "at most"),
        (("accumulate", -1, 10, 10), "generations"),
        (("accumulate", 5, 0, 10), "n_real"),
        (("accumulate", 5, 10, -1), "draws"),
        (("accumulate", 5, 10, 2.5), "draws"),
        (("accumulate", 5, 10, 10, 0), "window"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(SpecError, match=message):
        plan(*arguments)
