"""The extractors that are computed, not trained, and `build`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop import registry
from ouroloop.errors import DataError, PartError, SpecError
from ouroloop.features import build
from ouroloop.features.identity import Identity
from ouroloop.features.pca import Pca
from ouroloop.keys import Key
from ouroloop.samples import Samples

KEY = Key(0, ("test",))


def rows(n=50, shape=(4, 3), seed=0, dtype=np.float32):
    return Samples.of(np.random.default_rng(seed).standard_normal((n, *shape)).astype(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int64])
def test_identity_flattens(dtype):
    table = rows(5, dtype=dtype)
    part = Identity().fit(table, key=KEY)
    features = part.transform(table.x)
    assert (part.dim, part.name, features.dtype) == (12, "identity", np.float64)
    np.testing.assert_array_equal(features, table.x.reshape(5, 12))
    assert part.transform(table.x[:0]).shape == (0, 12)


@given(n=st.integers(3, 40), d=st.integers(1, 8), q=st.integers(1, 8), seed=st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_pca_scores_are_the_projection_on_the_leading_eigenvectors(n, d, q, seed):
    table = rows(n, (d,), seed, np.float64)
    part = Pca(components=q).fit(table, key=KEY)
    scores = part.transform(table.x)
    values = np.linalg.eigvalsh(np.cov(table.x.T).reshape(d, d))[::-1]
    assert part.dim == min(n, d, q, np.linalg.matrix_rank(table.x - table.x.mean(axis=0)))
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.atleast_2d(np.cov(scores.T)), np.diag(values[: part.dim]), atol=1e-8)


def test_all_components_keep_distances():
    table = rows(60, (5,), dtype=np.float64)
    scores = Pca(components=99).fit(table, key=KEY).transform(table.x)
    before, after = (np.linalg.norm(x[:, None] - x, axis=2) for x in (table.x, scores))
    np.testing.assert_allclose(after, before, atol=1e-9)


def test_whitened_scores_have_unit_variance():
    table = rows(500)
    part = Pca(components=6, whiten=True).fit(table, key=KEY)
    np.testing.assert_allclose(np.cov(part.transform(table.x).T), np.eye(6), atol=1e-6)


def test_large_tables_are_transformed_in_blocks_like_small_ones():
    part = Pca(components=2).fit(rows(), key=KEY)
    table = rows(9000, seed=2)
    np.testing.assert_allclose(part.transform(table.x)[8990:], part.transform(table.x[8990:]), atol=1e-12)


def test_wide_rows_are_decomposed_the_same_way_every_time():
    table = rows(20, (3000,), dtype=np.float64)
    first, again = (Pca(components=4).fit(table, key=Key(i)).transform(table.x) for i in range(2))
    np.testing.assert_array_equal(first, again)  # whatever the key: all seeds share one space


def test_a_row_with_nan_has_nan_features_and_spoils_no_other():
    table = rows(4)
    x = table.x.copy()
    x[1, 0, 0] = np.nan
    for part in (Identity().fit(table, key=KEY), Pca(components=3).fit(table, key=KEY)):
        features = part.transform(x)
        assert np.isnan(features).any(axis=1).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("part", "table", "message"),
    [
        (Pca(), rows(1), "at least 2 rows, got 1"),
        (Pca(), Samples.of(np.ones((9, 2))), "all 9 rows are alike"),
        (Pca(), Samples.of(np.full((9, 2), np.nan)), "NaN"),
        (Pca(), Samples.of(np.array(["a", "b"])), "need numbers"),
        (Identity(), Samples.of(np.array(["a", "b"])), "need numbers"),
    ],
)
def test_data_that_have_no_features(part, table, message):
    with pytest.raises(DataError, match=message):
        part.fit(table, key=KEY)


@pytest.mark.parametrize("part", [Identity(), Pca()])
def test_unfitted_or_mismatched_use_is_refused(part):
    with pytest.raises(PartError, match="call fit"):
        part.transform(rows().x)
    with pytest.raises(PartError, match="call fit"):
        _ = part.dim
    with pytest.raises(DataError, match="rows of 12 values"):
        part.fit(rows(), key=KEY).transform(rows(shape=(5,)).x)


def test_build():
    assert build("identity") == Identity()
    assert build({"kind": "pca", "components": 5}) == Pca(components=5)
    assert build(Pca(whiten=True)) == Pca(whiten=True)
    assert {build(name).name.partition("-")[0] for name in registry.names("features")} == {
        "classifier",
        "identity",
        "motion",
        "motion_physics",
        "pca",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("pcaa", r"features.kind: must be one of: .*pca"),
        ({"components": 3}, "needs a 'kind'"),
        ({"kind": "pca", "components": 0}, "features.components: must be >= 1, got 0"),
        ({"kind": "pca", "size": 3}, "features.size: is not a known option"),
        (3, "expected a name or a mapping"),
    ],
)
def test_build_names_what_is_wrong(given, message):
    with pytest.raises(SpecError, match=message):
        build(given)
