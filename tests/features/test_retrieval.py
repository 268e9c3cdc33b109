from __future__ import annotations

import numpy as np
import pytest

from ouroloop.features.retrieval import batches_of, blind_precision, retrieval_hits


def one_batch(n):
    return np.arange(n)[None]


def test_hits_against_sorting():
    rng = np.random.default_rng(0)
    n = 24
    text, motion, meaning = rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), rng.integers(9, size=n)
    hits, _ = retrieval_hits(text=text, motion=motion, meaning=meaning, batches=one_batch(n))
    for i in range(n):
        order = np.argsort(np.linalg.norm(motion - text[i], axis=1))
        for k in (1, 2, 3):
            assert hits[0, i, k - 1] == (meaning[order[:k]] == meaning[i]).any()


def test_equal_embeddings_are_found_and_shuffled_ones_are_not():
    x = np.random.default_rng(1).normal(size=(64, 8))
    batches = batches_of(64, 32, 5, np.random.default_rng(2))
    found, blind = retrieval_hits(text=x, motion=x, meaning=np.arange(64), batches=batches)
    assert found.all()
    lost, _ = retrieval_hits(text=x, motion=np.roll(x, 1, axis=0), meaning=np.arange(64), batches=batches)
    assert lost[..., 0].mean() < 2 / 32
    np.testing.assert_allclose(blind[..., 2], 3 / 32)


def test_a_constant_embedding_finds_nothing_but_equal_captions():
    zero = np.zeros((32, 4))
    hits, _ = retrieval_hits(text=zero, motion=zero, meaning=np.arange(32), batches=one_batch(32))
    assert not hits.any()
    hits, _ = retrieval_hits(text=zero, motion=zero, meaning=np.zeros(32), batches=one_batch(32))
    assert hits.all()


@pytest.mark.parametrize(("size", "own"), [(32, 1), (32, 7), (5, 5), (2, 1), (4, 2)])
def test_blind_precision_is_the_mean_over_random_orders(size, own):
    rng = np.random.default_rng(0)
    right = np.arange(size) < own
    order = rng.permuted(np.tile(right, (20_000, 1)), axis=1)
    expected = [order[:, : min(k, size)].any(axis=1).mean() for k in (1, 2, 3)]
    np.testing.assert_allclose(blind_precision(size, own), expected, atol=4 * 0.5 / np.sqrt(20_000))


def test_batches_are_permutations_without_the_remainder():
    batches = batches_of(70, 32, 3, np.random.default_rng(0))
    assert batches.shape == (6, 32)
    for replication in batches.reshape(3, 64):
        assert len(set(replication)) == 64
        assert replication.max() < 70
