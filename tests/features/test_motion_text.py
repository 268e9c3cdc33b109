from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.features.motion_text import Vocabulary, meaning, meanings, tokens

WORDS = Vocabulary.of(["a person walks", "a person turns left"], 64)


@given(st.text(max_size=40))
def test_every_text_has_words_a_meaning_and_pieces(caption):
    assert all(word and word == word.lower() for word in tokens(caption))
    assert meaning(meaning(caption)) == meaning(caption)
    rows, starts = WORDS.encode([caption, "a person walks"])
    assert starts[0] == 0 < starts[1] < len(rows)
    assert rows.min() >= 0
    assert rows.max() < WORDS.size


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("A person walks.", "someone WALKS", True),
        ("a person walks", "the person is walks", True),
        ("walks left", "walks right", False),
        ("left walks", "walks left", False),
        ("a man walks", "a woman walks", False),
        ("a person", "someone", False),
    ],
)
def test_subjects_and_articles_mean_nothing(a, b, same):
    one, other = meanings(np.array([a, b]))
    assert (one == other) == same


def test_meanings_follow_the_rows():
    numbers = meanings(np.array(["b", "c", "b", "someone b"]))
    assert numbers[0] == numbers[2] == numbers[3] != numbers[1]
    assert meanings(np.array([], dtype=str)).shape == (0,)


def test_an_unknown_word_shares_pieces_with_those_that_it_resembles():
    known, alike, other = (set(WORDS.encode([c])[0].tolist()) for c in ("walks", "walking", "jumps"))
    assert len(known & alike) > len(known & other)


def test_equal_meanings_have_equal_pieces_and_orders_differ():
    def pieces(caption):
        return WORDS.encode([caption])[0].tolist()

    assert pieces("Someone turns left") == pieces("a person turns left")
    assert sorted(pieces("turns left")) != sorted(pieces("left turns"))
