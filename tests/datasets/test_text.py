from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from ouroloop.datasets.text import UNKNOWN, Text, bundled_text, tokenise
from ouroloop.errors import DataError
from ouroloop.keys import Key

ALPHABET = "abcdefghij"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "letters.txt.gz"
    path.write_bytes(gzip.compress((ALPHABET * 100).encode()))
    return path


def load(path: Path | None, seed: int = 0, **options):
    return Text(path=None if path is None else str(path), **options).load(key=Key(seed))


def test_rows_are_the_text(file: Path) -> None:
    data = load(file, window=10, n=None)
    assert data.name == "letters"
    assert data.real.x.shape == (90, 10)
    assert data.real.x.dtype == np.int32
    assert set(data.decode(data.real.x)) == {ALPHABET}
    assert data.held_out is not None
    assert data.decode(data.held_out.x) == [ALPHABET] * 10


def test_training_fresh_and_held_out_windows_are_different_ones(file: Path) -> None:
    data = load(file, window=10, n=40)
    fresh = data.fresh(30, key=Key(0, ("generation", 1)))
    assert data.held_out is not None
    ids = np.concatenate([data.real.id, fresh.id, data.held_out.id])
    assert len(np.unique(ids)) == 40 + 30 + 10
    with pytest.raises(DataError, match="reserve"):
        data.fresh(30, key=Key(0, ("generation", 2)))


def test_seeds_train_on_other_windows_and_hold_out_the_same() -> None:
    a, b = load(None, seed=0, n=50), load(None, seed=1, n=50)
    assert not np.array_equal(a.real.x, b.real.x)
    assert a.vocabulary == b.vocabulary
    np.testing.assert_array_equal(a.held_out.x, b.held_out.x)  # type: ignore[union-attr]


def test_rare_tokens_share_an_id(file: Path) -> None:
    data = load(file, window=10, vocabulary=4, n=20)
    assert data.real.x.max() == 3
    assert ((data.real.x == UNKNOWN).mean(axis=1) == 0.7).all()
    assert len(data.vocabulary) == 4


def test_words(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("the cat, the <unk> dog's tail\n" * 50)
    data = load(path, unit="words", window=8, n=10, vocabulary=50)
    assert data.decode(data.real.x)[0] == "the cat , the <unk> dog's tail \n"
    assert "<unk>" not in data.vocabulary[1:]


def test_a_held_out_file_leaves_the_text_whole(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("aaaaaaaaaazzzzzzzzzz")
    data = load(file, held_out_path=str(other), window=10, n=None)
    assert len(data.real) == 100
    assert data.held_out is not None
    assert data.decode(data.held_out.x) == ["a" * 10, "\ufffd" * 10]


def test_the_bundled_text_is_long_enough_for_the_default_options() -> None:
    data = load(None)
    assert data.real.x.shape == (2000, 64)
    assert data.held_out is not None
    assert len(data.held_out) > 500
    assert len(tokenise(bundled_text(), "words")) > 50_000


def test_bad_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("häßlich".encode("latin-1"))
    (tmp_path / "short.txt").write_text("too short")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"a" * 10_000)[:20])
    for name, message in [
        ("missing.txt", "no such file"),
        ("latin.txt", "not UTF-8"),
        ("cut.txt.gz", "cannot be read"),
        ("short.txt", "longer text"),
    ]:
        with pytest.raises(DataError, match=message):
            load(tmp_path / name)
