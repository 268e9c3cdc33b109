import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.keys import Key

names = st.one_of(st.text(max_size=5), st.integers(-5, 5))


@given(st.integers(0, 2**40), st.lists(names, max_size=4), st.lists(names, max_size=4))
def test_streams_are_equal_exactly_where_names_are(seed, a, b):
    same = tuple(map(repr, a)) == tuple(map(repr, b))
    assert (Key(seed).child(*a).digest() == Key(seed).child(*b).digest()) == same


def test_path_is_what_counts_not_how_it_was_built():
    assert Key(1).child("a").child("b", 2) == Key(1).child("a", "b", 2)


def test_numbers_and_their_text_are_different_names():
    assert Key(0).child(1).digest() != Key(0).child("1").digest()


def test_seed_separates_streams():
    a, b = (Key(s).rng().standard_normal(1000) for s in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.15


@pytest.mark.parametrize("bits", [1, 31, 32, 63, 128])
def test_integer_stays_below_its_bits(bits):
    assert all(0 <= Key(i).integer(bits) < 2**bits for i in range(200))


def test_torch_stream_repeats():
    a, b = (torch.randn(5, generator=Key(3).torch()) for _ in range(2))
    assert torch.equal(a, b)


def test_seeded_makes_foreign_draws_repeat_and_leaves_no_trace():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    draws = []
    for _ in range(2):
        with Key(5).seeded():
            draws.append((random.random(), np.random.rand(), float(torch.rand(1))))  # noqa: NPY002
    assert draws[0] == draws[1]
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_seeded_restores_after_an_error():
    before = torch.get_rng_state()

    def fail():
        with Key(5).seeded():
            torch.rand(3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert torch.equal(before, torch.get_rng_state())


@given(st.integers(0, 2**40), names)
def test_the_stream_is_philox_with_the_hash_as_its_key(seed, name):
    key = Key(seed).child(name)
    plain = np.random.Generator(np.random.Philox(key=key.integer(128)))
    assert np.array_equal(key.rng().random(9), plain.random(9))
