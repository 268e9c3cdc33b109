from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import DataError
from ouroloop.generators.ngram import Ngram
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

ROWS = Key(5).rng().choice(4, (60, 6), p=[0.5, 0.3, 0.15, 0.05])


def fit(x: np.ndarray = ROWS, previous: Ngram | None = None, **options: Any) -> Ngram:
    return Ngram(**options).fit(Pool.of(Samples.of(x)), key=Key(0), previous=previous)


class TestNgram(GeneratorSuite):
    def make(self) -> Ngram:
        return Ngram(order=3)

    def data(self) -> Samples:
        return Samples.of(Key(0).rng().integers(0, 7, (40, 9)).astype(np.int32))


class TestNgramTempered(TestNgram):
    def make(self) -> Ngram:
        return Ngram(order=4, temperature=0.5, smoothing="absolute", vocabulary=9)


def by_hand(x: np.ndarray, row: tuple[int, ...], size: int, *, order: int, rule: str, uniform: float) -> float:
    """The probability of a row by loops over the definition."""
    total = 1.0
    for place, token in enumerate(row):
        p = 1.0 / size
        for k in range(1, min(order, place + 1) + 1):
            context = row[place - k + 1 : place]
            runs = [tuple(r[i : i + k]) for r in x.tolist() for i in range(len(r) - k + 1)]
            after = [run[-1] for run in runs if run[:-1] == context]
            if not after:
                continue
            n, types, c = len(after), len(set(after)), after.count(token)
            if k == 1:
                direct, escape = (1 - uniform) * c / n, uniform
            elif rule == "witten_bell":
                direct, escape = c / (n + types), types / (n + types)
            else:
                direct, escape = max(c - 0.75, 0) / n, 0.75 * types / n
            p = direct + escape * p
        total *= p
    return total


@pytest.mark.parametrize("rule", ["witten_bell", "absolute"])
def test_probabilities_are_those_of_the_definition(rule: Any) -> None:
    model = fit(order=3, smoothing=rule, uniform_share=0.01, vocabulary=5)
    rows = [(0, 1, 0, 2, 3, 0), (3, 3, 3, 3, 3, 3), (4, 0, 4, 4, 1, 1)]
    expected = [np.log(by_hand(ROWS, row, 5, order=3, rule=rule, uniform=0.01)) for row in rows]
    np.testing.assert_allclose(model.log_likelihood(np.array(rows)), expected, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 4),
    st.sampled_from(["witten_bell", "absolute"]),
    st.integers(2, 4),
    st.integers(0, 2**32 - 1),
)
def test_all_rows_together_have_probability_one(order: int, rule: Any, size: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(0, size, (5, 4))
    model = fit(x, order=order, smoothing=rule, uniform_share=0.1, vocabulary=size)
    every = np.array(list(product(range(size), repeat=4)))
    assert np.exp(model.log_likelihood(every)).sum() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("temperature", [1.0, 0.4, 2.5])
def test_draws_have_the_models_probabilities(temperature: float) -> None:
    model, n = fit(ROWS[:, :3], order=2, temperature=temperature, vocabulary=4, uniform_share=0.05), 60_000
    drawn = model.sample(n, key=Key(2)).x
    every = np.array(list(product(range(4), repeat=3)))
    conditional = np.ones(64)
    for place in range(3):  # from the probabilities of all beginnings, which do not depend on the temperature
        heads = every[:, : place + 1]
        p = np.exp(model.log_likelihood(heads)) / (np.exp(model.log_likelihood(heads[:, :-1])) if place else 1.0)
        others = [
            np.exp(model.log_likelihood(np.column_stack([heads[:, :-1], np.full(64, w)])))
            / (np.exp(model.log_likelihood(heads[:, :-1])) if place else 1.0)
            for w in range(4)
        ]
        conditional *= p ** (1 / temperature) / sum(o ** (1 / temperature) for o in others)
    counts = np.bincount(drawn @ [16, 4, 1], minlength=64)
    error = np.sqrt(n * conditional * (1 - conditional))
    assert (np.abs(counts - n * conditional) < 5 * error + 3).all()


def test_one_draw_and_the_whole_distribution_agree() -> None:
    plain, dense = fit(order=3), fit(order=3, temperature=1.0 + 1e-12)
    shares = [np.bincount(m.sample(20_000, key=Key(1)).x.ravel(), minlength=4) / 120_000 for m in (plain, dense)]
    np.testing.assert_allclose(shares[0], shares[1], atol=5 * np.sqrt(2 * 0.25 / 120_000))


def test_a_low_temperature_repeats_what_is_most_likely() -> None:
    x = np.tile([0, 1, 2], (50, 4))
    x[0, 1] = 2
    drawn = fit(x, order=2, temperature=0.05).sample(200, key=Key(0)).x
    follows = drawn[:, 1:] == (drawn[:, :-1] + 1) % 3
    assert follows.all()


def test_many_contexts_are_drawn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fit(order=4, temperature=0.7)
    whole = model.sample(50, key=Key(3)).x
    monkeypatch.setattr("ouroloop.generators.ngram._DENSE", 8)
    np.testing.assert_array_equal(model.sample(50, key=Key(3)).x, whole)


def test_lost_tokens_keep_a_probability_where_the_model_goes_on() -> None:
    first = fit(order=2)
    second = fit(np.minimum(ROWS, 2), previous=first, order=2)
    assert np.isfinite(second.log_likelihood(ROWS)).all()
    with pytest.raises(DataError, match="start: previous"):
        fit(np.minimum(ROWS, 2), order=2).log_likelihood(ROWS)


def test_held_out_text_of_another_length_is_scored(tmp_path: Path) -> None:
    model = fit(order=3)
    assert model.log_likelihood(np.zeros((2, 1), int)).shape == (2,)
    long = model.log_likelihood(np.tile(ROWS, (1, 3)))
    assert (long < model.log_likelihood(ROWS)).all()


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.zeros((3, 2)), {}, "whole numbers"),
        (np.zeros((3, 2, 2), int), {}, "whole numbers"),
        (np.array([[0, -1]]), {}, "0 or more"),
        (np.array([[0, 7]]), {"vocabulary": 5}, "token id 7"),
        (np.full((3, 8), 10**9), {"order": 8}, "lower it"),
    ],
)
def test_bad_rows_are_refused(x: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(x, **options)
