"""Images as rows: their data sets, whitened components, and the Gaussian of some of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ouroloop.errors import DataError
from ouroloop.keys import Key

__all__ = ["Factor", "Images", "factor_of", "load_images", "whitening"]


class Images(NamedTuple):
    """Training and test rows, float32 (n, p), and their classes 0, 1, ..., int64 (n,)."""

    train: np.ndarray
    label: np.ndarray
    test: np.ndarray
    test_label: np.ndarray

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.label.max()) + 1


@functools.lru_cache(maxsize=2)
def load_images(data: str, path: str | None, classes: tuple[int, ...] | None) -> Images:
    """Flattened grey values in [0, 1]; the test part is what the data set holds out.

    Args:
        data: "mnist" or "digits".
        path: folder of MNIST's files, or None.
        classes: labels to keep, numbered in this order; None: all.

    Raises:
        DataError: fewer than 2 classes, one given twice, or one that there is not.
    """
    from ouroloop.datasets.digits import Digits
    from ouroloop.datasets.mnist import Mnist

    source = Mnist(path=path, subset="all") if data == "mnist" else Digits()
    loaded = source.load(key=Key(0))
    assert loaded.held_out is not None
    there = np.unique(np.asarray(loaded.real["label"]))
    wanted = there if classes is None else np.array(classes)
    if len(wanted) < 2 or len(np.unique(wanted)) != len(wanted) or not np.isin(wanted, there).all():
        raise DataError(f"classes: need two or more different ones of {there.tolist()}, got {wanted.tolist()}")
    parts = []
    for part in (loaded.real, loaded.held_out):
        label = np.asarray(part["label"])
        chosen = np.isin(label, wanted)
        same = label[chosen][:, None] == wanted
        parts += [np.asarray(part.x, np.float32).reshape(len(label), -1)[chosen], np.argmax(same, axis=1)]
    return Images(*parts)


def whitening(images: Images, components: int) -> Images:
    """The leading components of the training rows' covariance within classes, each with variance 1.

    Args:
        images: rows of p features.
        components: how many, at most p; those of variance 0 cannot be had.

    Raises:
        DataError: more components than have a variance.
    """
    means = np.stack([images.train[images.label == c].mean(axis=0, dtype=np.float64) for c in range(images.classes)])
    within = images.train - means[images.label]
    values, vectors = np.linalg.eigh(within.T @ within / (len(within) - images.classes))
    usable = int((values > 1e-6 * values[-1]).sum())
    if components > usable:
        raise DataError(
            f"components: {components} asked for, and {usable} of {len(values)} have a variance to speak of"
        )
    turn = vectors[:, ::-1][:, :components] / np.sqrt(values[::-1][:components])
    centre = means.mean(axis=0)
    train, test = (((x - centre) @ turn).astype(np.float32) for x in (images.train, images.test))
    return Images(train, images.label, test, images.test_label)


@dataclass(frozen=True)
class Factor:
    """A Gaussian: its mean (p,) and F (k, p) with covariance F' F, float32."""

    mean: np.ndarray
    factor: np.ndarray

    def sample(self, rng: np.random.Generator, count: int, *, spread: bool = True) -> np.ndarray:
        """Rows, float32 (count, p); with the identity as covariance where not `spread`."""
        if not spread:
            return self.mean + rng.standard_normal((count, len(self.mean)), np.float32)
        return self.mean + rng.standard_normal((count, len(self.factor)), np.float32) @ self.factor


def factor_of(x: np.ndarray) -> Factor:
    """Mean and (unbiased) covariance of rows, float32 (n, p), n >= 2, with no more rows in F than needed."""
    mean = x.mean(axis=0, dtype=np.float64)
    centred = (x - mean) / np.sqrt(len(x) - 1)
    if len(x) > x.shape[1]:
        values, vectors = np.linalg.eigh(centred.T @ centred)
        centred = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    return Factor(mean.astype(np.float32), centred.astype(np.float32))
