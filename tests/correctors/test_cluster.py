import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.correctors.cluster import Cluster
from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

KEY = Key(0, ("test",))
MNIST = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"


def fitted(real, **options):
    return Cluster(**options).fit(Reference(real), key=KEY)


def moved(part, rows):
    return part.correct(rows, key=KEY).proposed.x.reshape(len(rows), -1)


def clouds(n, seed=0, d=3):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    return Samples.of(rng.standard_normal((n, d)) + 4.0 * label[:, None], label=label * 10)


def within(x, label):
    """Sum of the squared deviations from the class means."""
    return sum(((x[label == c] - x[label == c].mean(axis=0)) ** 2).sum() for c in np.unique(label))


def test_every_row_becomes_the_nearest_centre_of_its_class():
    real, rows = clouds(90), clouds(60, 1)
    part = fitted(real, clusters=4)
    x = moved(part, rows)
    for i, c in enumerate((0, 10, 20)):
        centres = part.centres[4 * i : 4 * i + 4]
        mine = rows.label == c
        nearest = np.linalg.norm(rows.x[mine, None] - centres, axis=2).argmin(axis=1)
        np.testing.assert_allclose(x[mine], centres[nearest])


def test_centres_are_the_means_of_the_real_rows_nearest_to_them():
    real = clouds(120)
    part = fitted(real, clusters=5)
    x = moved(part, real)
    for centre in part.centres:
        mine = (x == centre).all(axis=1)
        np.testing.assert_allclose(real.x[mine].mean(axis=0), centre, atol=1e-9)


@given(blend=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_blend_moves_part_of_the_way(blend):
    real, rows = clouds(60), clouds(30, 1)
    full, part = fitted(real, clusters=2), fitted(real, clusters=2, blend=blend)
    np.testing.assert_allclose(moved(part, rows), (1 - blend) * rows.x + blend * moved(full, rows), atol=1e-12)


@pytest.mark.parametrize("blend", [0.05, 0.2, 1.0])
def test_any_blend_of_the_projection_shrinks_clusters_again_and_again_and_moments_do_not(blend):
    real, start = clouds(3000, d=2), clouds(600, 1, d=2)
    for mode in ("project", "moments"):
        part, rows = fitted(real, clusters=1, mode=mode, blend=blend), start
        centres = part.centres[np.searchsorted([0, 10, 20], start.label)]
        for _ in range(5):
            rows = part.correct(rows, key=KEY).proposed
        left = ((rows.x - centres) ** 2).sum() / ((start.x - centres) ** 2).sum()
        if mode == "project":
            assert left == pytest.approx((1 - blend) ** 10, abs=1e-12)
        else:
            assert left == pytest.approx(1.0, abs=0.1)


def test_labels_that_no_real_row_has_fail_and_the_others_do_not():
    rows = clouds(9, 1).replace(label=np.array([0, 10, 20, 5, -1, 99, 0, 10, 20]))
    answer = fitted(clouds(60), clusters=2).correct(rows, key=KEY)
    assert (answer.verdict == Verdict.FAILED).tolist() == [False] * 3 + [True] * 3 + [False] * 3


def test_labels_may_be_text():
    real = clouds(60).replace(label=np.array(["cat", "dog", "eel"])[np.arange(60) % 3])
    rows = real.take(np.arange(4)).replace(label=np.array(["eel", "cow", "dog", "cat"]))
    answer = fitted(real, clusters=2).correct(rows, key=KEY)
    assert (answer.verdict == Verdict.FAILED).tolist() == [False, True, False, False]


def test_rows_without_labels():
    real, rows = clouds(90), clouds(30, 1)
    bare_real, bare = real.only(["x"]), rows.only(["x"])
    one_class = fitted(bare_real, clusters=3)
    assert len(one_class.centres) == 3
    np.testing.assert_allclose(moved(one_class, bare), moved(one_class, rows))
    any_class = fitted(real, clusters=2)
    nearest = np.linalg.norm(rows.x[:, None] - any_class.centres, axis=2).argmin(axis=1)
    np.testing.assert_allclose(moved(any_class, bare), any_class.centres[nearest])


@pytest.mark.parametrize("mode", ["project", "moments"])
def test_a_class_with_few_or_equal_rows(mode):
    real = Samples.of(np.array([[0.0], [1.0], [5.0], [5.0], [5.0]]), label=np.array([0, 0, 1, 1, 2]))
    part = fitted(real, clusters=16, mode=mode)
    assert part.centres[:, 0].tolist() in ([0, 1, 5, 5], [1, 0, 5, 5])
    answer = part.correct(Samples.of(np.array([[0.2], [7.0], [9.0]]), label=np.array([0, 1, 2])), key=KEY)
    expected = [0.0, 5.0, 5.0] if mode == "project" else [0.2, 7.0, 9.0]  # too few rows to know moments
    assert answer.proposed.x[:, 0].tolist() == expected


def test_nearest_in_another_space_and_centres_in_the_data():
    rng = np.random.default_rng(0)
    x = np.stack([np.repeat([0.0, 100.0], 30), rng.standard_normal(60)], axis=1)  # the first axis separates
    part = fitted(Samples.of(x), clusters=2, space={"kind": "pca", "components": 1})
    np.testing.assert_allclose(np.sort(part.centres[:, 0]), [0.0, 100.0], atol=1e-9)
    np.testing.assert_allclose(
        np.sort(moved(part, Samples.of(np.array([[40.0, 50.0], [60.0, -50.0]])))[:, 0]), [0, 100]
    )


def test_seed_decides_the_clusters():
    real = Samples.of(np.random.default_rng(0).standard_normal((300, 5)))
    first, again = (Cluster().fit(Reference(real), key=Key(1)).centres for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, Cluster().fit(Reference(real), key=Key(2)).centres)


@pytest.mark.parametrize(
    ("real", "message"),
    [
        (Samples.of(np.zeros((0, 2))), "got none"),
        (Samples.of(np.array([[0.0], [np.nan]])), "NaN in column 'x', row 1"),
        (Samples.of(np.array(["a", "b"])), "needs numbers"),
    ],
)
def test_real_rows_that_cannot_be_clustered(real, message):
    with pytest.raises(DataError, match=message):
        fitted(real)


def test_unfitted_and_mismatched_use_is_refused():
    with pytest.raises(PartError, match="call fit"):
        Cluster().correct(clouds(3), key=KEY)
    with pytest.raises(PartError, match="rows of 3 values, got rows of 2"):
        fitted(clouds(30), clusters=2).correct(Samples.of(np.zeros((2, 2))), key=KEY)


class TestMoments:
    def test_one_cluster_gets_the_real_mean_and_variance(self):
        # Independent of k-means: with one cluster the map is known in closed form, x -> m + (s_real / s)(x - mean).
        rng = np.random.default_rng(0)
        scale = np.array([3.0, 0.5, 1.0])
        real = Samples.of(rng.standard_normal((6000, 3)) * scale)
        rows = Samples.of(rng.standard_normal((6000, 3)) * scale * [0.5, 4.0, 1.0] + [1.0, 2.0, 0.0])
        x = moved(fitted(real, clusters=1, mode="moments"), rows)
        assert (np.abs(x.mean(axis=0) - real.x.mean(axis=0)) < 0.05 * scale).all()
        np.testing.assert_allclose(x.std(axis=0), real.x.std(axis=0), rtol=0.05)
        np.testing.assert_allclose(np.corrcoef(x.T, rows.x.T)[[0, 1, 2], [3, 4, 5]], 1.0, atol=0.01)

    def test_rows_as_good_as_real_ones_hardly_move(self):
        real, rows = clouds(900, d=6), clouds(300, 1, d=6)
        part = fitted(real, clusters=3, mode="moments")
        answer = part.correct(rows, key=KEY)
        assert np.sqrt((answer.distance**2).sum() / within(rows.x, rows.label)) < 0.15

    def test_a_single_row_is_not_pulled_onto_its_centre(self):
        real = clouds(300)
        moments, project = fitted(real, mode="moments"), fitted(real)
        far = near = 0.0
        for i in range(60):
            row = clouds(60, 5).take([i])
            near += moments.correct(row, key=KEY).distance[0]
            far += project.correct(row, key=KEY).distance[0]
        assert near < 0.25 * far

    def test_directions_in_which_real_rows_do_not_vary_are_cleaned(self):
        rng = np.random.default_rng(0)
        real = Samples.of(np.pad(rng.standard_normal((400, 2)), ((0, 0), (0, 2))))
        noisy = Samples.of(rng.standard_normal((200, 4)))
        x = moved(fitted(real, clusters=2, mode="moments"), noisy)
        np.testing.assert_allclose(x[:, 2:], 0.0, atol=1e-9)
        assert x[:, :2].std() > 0.8

    def test_a_collapsed_class_regains_part_of_its_variance(self):
        real, rows = clouds(900), clouds(300, 1)
        means = np.stack([rows.x[rows.label == c].mean(axis=0) for c in (0, 10, 20)])[np.arange(300) % 3]
        narrow = rows.replace(x=means + 0.3 * (rows.x - means))
        before = within(rows.x, rows.label)
        assert within(narrow.x, rows.label) / before == pytest.approx(0.09)
        assert within(moved(fitted(real, clusters=2, mode="moments"), narrow), rows.label) / before > 0.4

    def test_held_out_digits_keep_their_variance_and_noise_is_taken_out(self):
        from sklearn.datasets import load_digits

        images, label = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(images))
        real, rest = (Samples.of(images[i], label=label[i]) for i in (order[:1000], order[1000:]))
        before = within(rest.x, rest.label)
        kept = {}
        for name, options in {"project": {}, "half": {"blend": 0.5}, "moments": {"mode": "moments"}}.items():
            kept[name] = within(moved(fitted(real, **options), rest), rest.label) / before
        assert kept["project"] < 0.70
        assert kept["half"] < 0.75
        assert 0.93 < kept["moments"] < 1.05
        noisy = rest.replace(x=rest.x + np.random.default_rng(1).normal(0, images.std(), rest.x.shape))
        assert within(noisy.x, rest.label) / before > 4.0
        assert within(moved(fitted(real, mode="moments"), noisy), rest.label) / before < 1.25


def _mnist(kind, n):
    images = gzip.decompress((MNIST / f"{kind}-images-idx3-ubyte.gz").read_bytes())
    label = gzip.decompress((MNIST / f"{kind}-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784)[:n]
    return Samples.of(x / 255.0, label=np.frombuffer(label, np.uint8, offset=8)[:n].astype(int))


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.exists(), reason="no MNIST files in ../shared/data/mnist")
def test_what_the_published_projection_takes_away_from_mnist():
    real, rest = _mnist("train", 12_000), _mnist("t10k", 2_000)
    project, moments = fitted(real), fitted(real, mode="moments")
    removed = 1 - within(moved(project, real), real.label) / within(real.x, real.label)
    assert removed == pytest.approx(0.617, abs=0.01)  # 61.7 % measured with the published code
    assert within(moved(moments, rest), rest.label) / within(rest.x, rest.label) == pytest.approx(1.0, abs=0.04)
