r"""The Fréchet (2-Wasserstein) distance between Gaussians, and its bootstrap from block sums.

$$ d^2 = |\mu_1 - \mu_2|^2 + \mathrm{tr}\,C_1 + \mathrm{tr}\,C_2 - 2\,\mathrm{tr}\,(C_1^{1/2} C_2 C_1^{1/2})^{1/2} $$

The last trace is the sum of the singular values of $R_1^T R_2$ for any roots $C_i = R_i R_i^T$. Roots come from
the symmetric eigenproblem, so that nothing is inverted, no matrix square root is iterated and no complex number
can appear: singular covariances (fewer rows than dimensions, constant columns) are as good as others.

Source: Dowson and Landau, J. Multivariate Anal. 12 (1982) 450; SCSC (arXiv 2402.07087) and Heusel et al.
(arXiv 1706.08500) use the same formula with scipy's sqrtm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.metrics.bootstrap import resample_counts

__all__ = ["BLOCKS", "FrechetTo", "Moments", "frechet_squared", "moments", "psd_root", "resampled_moments"]

BLOCKS = 128
_MOMENT_BYTES = 1 << 26
_SMALLEST_BLOCKS = 16
_FEWER_RESAMPLES_FROM = 256  # dimensions; an eigenproblem costs the cube of them
_FEWER_RESAMPLES = 10
_NO_RESAMPLES_FROM = 1024
_MOST_FEATURES = 8192  # of a covariance: 512 MiB, and minutes for its root


class Moments(NamedTuple):
    """Means (..., d) and covariances (..., d, d)."""

    mean: np.ndarray
    covariance: np.ndarray


def moments(x: np.ndarray) -> Moments:
    """Mean and unbiased covariance of rows (n, d); the covariance of a single row is 0.

    Raises:
        DataError: more features than a covariance can have in memory.
    """
    if x.shape[1] > _MOST_FEATURES:
        raise DataError(
            f"rows have {x.shape[1]:,} features, and a covariance of more than {_MOST_FEATURES:,} is not computed; "
            "set features: pca, or an extractor with fewer"
        )
    mean = x.mean(axis=0)
    centred = x - mean
    return Moments(mean, centred.T @ centred / max(1, len(x) - 1))


def psd_root(covariance: np.ndarray) -> np.ndarray:
    """R with R R^T = C for symmetric positive semi-definite C, shape (..., d, d); rounding below 0 is cut off."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]


def frechet_squared(
    *,
    real_mean: np.ndarray,
    real_covariance: np.ndarray,
    generated_mean: np.ndarray,
    generated_covariance: np.ndarray,
) -> np.ndarray:
    """Squared Fréchet distance between Gaussians; leading dimensions are a batch.

    Args:
        real_mean, generated_mean: shape (..., d).
        real_covariance, generated_covariance: symmetric positive semi-definite, shape (..., d, d).

    >>> zero, one, c = np.zeros(2), np.ones(2), np.eye(2)
    >>> d = frechet_squared(real_mean=zero, real_covariance=c, generated_mean=one, generated_covariance=c)
    >>> round(float(d), 6)
    2.0
    """
    generated = Moments(np.asarray(generated_mean), generated_covariance)
    return _squared(np.asarray(real_mean), real_covariance, psd_root(real_covariance), generated)


def _squared(mean: np.ndarray, covariance: np.ndarray, root: np.ndarray, to: Moments) -> np.ndarray:
    cross = np.linalg.svd(np.swapaxes(root, -1, -2) @ psd_root(to.covariance), compute_uv=False).sum(axis=-1)
    traces = np.trace(covariance, axis1=-2, axis2=-1) + np.trace(to.covariance, axis1=-2, axis2=-1)
    return np.maximum(np.square(mean - to.mean).sum(axis=-1) + traces - 2.0 * cross, 0.0)


def resampled_moments(x: np.ndarray, key: Key | None, resamples: int) -> tuple[Moments, int]:
    """Moments of bootstrap resamples, (b, d) and (b, d, d), and the number of blocks; without a key b = 0.

    Rows are put into blocks at random and blocks are resampled: the sums of a block are computed once, and a
    resample is a product of small matrices. In high dimension there are fewer blocks and fewer resamples.
    """
    n, d = x.shape
    count = min(n, BLOCKS, max(_SMALLEST_BLOCKS, _MOMENT_BYTES // (8 * d * d)))
    if d > _FEWER_RESAMPLES_FROM:
        resamples = 0 if d > _NO_RESAMPLES_FROM else min(resamples, _FEWER_RESAMPLES)
    if key is None or resamples < 2 or count < 2:
        return Moments(np.empty((0, d)), np.empty((0, d, d))), count
    centre = x.mean(axis=0)
    size = -(-n // count)
    rows = np.zeros((count * size, d))
    places = key.child("blocks").rng().permutation(n)
    rows[(places % count) * size + places // count] = x - centre
    rows = rows.reshape(count, size, d)
    sizes = np.bincount(places % count, minlength=count).astype(np.float64)
    counts = resample_counts(key.child("counts"), count, resamples)
    total = (counts @ sizes)[:, None]
    mean = counts @ rows.sum(axis=1) / total
    second = (counts @ (rows.transpose(0, 2, 1) @ rows).reshape(count, d * d)).reshape(resamples, d, d)
    second /= total[:, :, None]
    second -= mean[:, :, None] * mean[:, None, :]
    second *= (total / np.maximum(total - 1.0, 1.0))[:, :, None]
    return Moments(mean + centre, second), count


@dataclass(frozen=True, eq=False)
class FrechetTo:
    """Squared Fréchet distances to one Gaussian (the real side) and to its bootstrap resamples.

    Args:
        mean, covariance: of the real side, (d,) and (d, d).
        resampled: moments of resamples of the real rows, or None where the real side is known exactly.
    """

    mean: np.ndarray
    covariance: np.ndarray
    resampled: Moments | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "_root", psd_root(self.covariance))
        many = None if self.resampled is None else psd_root(self.resampled.covariance)
        object.__setattr__(self, "_roots", many)

    def squared(self, to: Moments) -> float:
        """Squared distance of a Gaussian (d,), (d, d) to the real one."""
        root: np.ndarray = self._root  # type: ignore[attr-defined]
        return float(_squared(self.mean, self.covariance, root, to))

    def squared_resampled(self, to: Moments) -> np.ndarray:
        """Squared distances of resample i of the generated side to resample i of the real side, float64 (b,).

        The trace term is taken from eigenvalues of $R^T C R$, which is quicker than singular values; its error
        of about 1e-8 of the scale is far below the spread of resamples.
        """
        root: np.ndarray = self._root  # type: ignore[attr-defined]
        roots: np.ndarray | None = self._roots  # type: ignore[attr-defined]
        count = len(to.mean) if self.resampled is None else min(len(to.mean), len(self.resampled.mean))
        result = np.empty(count)
        for i in range(count):
            mean, covariance, r = self.mean, self.covariance, root
            if self.resampled is not None and roots is not None:
                mean, covariance, r = self.resampled.mean[i], self.resampled.covariance[i], roots[i]
            cross = np.sqrt(np.maximum(np.linalg.eigvalsh(r.T @ to.covariance[i] @ r), 0.0)).sum()
            shift = to.mean[i] - mean
            result[i] = shift @ shift + np.trace(covariance) + np.trace(to.covariance[i]) - 2.0 * cross
        return np.maximum(result, 0.0)
