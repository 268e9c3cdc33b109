r"""How many rows a verifier keeps and how many of them are wrong, as a few weighted points.

Of m synthetic rows $M \sim \mathrm{Bin}(m, \alpha)$ are kept and $W \sim \mathrm{Bin}(M, \epsilon')$ of these have a
wrong label. An accuracy that bends over the spread of the two counts is not that of their means: the mean over counts
is taken here by Gaussian quadrature for the binomial distribution, whose nodes are the eigenvalues of the Jacobi matrix
of the Krawtchouk polynomials and whose weights are the squared first components of its eigenvectors. With k nodes it is
exact for polynomials of degree 2k - 1.
"""

from __future__ import annotations

import numpy as np

__all__ = ["LEAST_ROWS", "binomial_nodes", "kept_counts"]

LEAST_ROWS = 1e-12  # fewer are none: a node at 0, but for rounding
_ROWS, _WRONG = 6, 4  # nodes


def binomial_nodes(trials: np.ndarray, share: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [0, trials] and weights for the mean over Bin(trials, share), both float64 (..., count).

    Args:
        trials: at least 0; need not be whole. share: in [0, 1]. count: of nodes.

    >>> nodes, weights = binomial_nodes(np.array(10.0), np.array(0.3), 3)
    >>> [round(float(weights @ nodes**k), 9) for k in (0, 1, 2)]  # 1, n p, n p q + (n p)^2
    [1.0, 3.0, 11.1]
    """
    j = np.arange(count)
    trials, share = np.broadcast_arrays(np.asarray(trials, np.float64), np.asarray(share, np.float64))
    n, p = trials[..., None], share[..., None]
    matrix = np.zeros((*trials.shape, count, count))
    matrix[..., j, j] = p * (n - j) + j * (1.0 - p)
    beside = np.sqrt(np.maximum(j[1:] * p * (1.0 - p) * (n - j[1:] + 1.0), 0.0))  # 0: no more points than trials + 1
    matrix[..., j[1:], j[:-1]] = matrix[..., j[:-1], j[1:]] = beside
    nodes, vectors = np.linalg.eigh(matrix)
    return np.clip(nodes, 0.0, n), vectors[..., 0, :] ** 2


def kept_counts(
    m: np.ndarray, kept: np.ndarray, wrong: np.ndarray, *, fixed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kept rows, the share of them that is wrong, and weights that sum to 1, each float64 (..., points).

    Args:
        m: synthetic rows. kept, wrong: shares of them that are kept, and kept with a wrong label.
        fixed: where the number of kept rows is to be its mean, bool.
    """
    rows, weights = binomial_nodes(m, kept, _ROWS)
    rows = np.where(fixed[..., None], (m * kept)[..., None], rows)
    noise = np.divide(wrong, kept, out=np.zeros(kept.shape), where=kept > 0.0)
    noise = np.broadcast_to(np.minimum(noise, 1.0)[..., None], rows.shape)
    count, inner = binomial_nodes(rows, noise, _WRONG)
    share = np.divide(count, rows[..., None], out=np.zeros(count.shape), where=rows[..., None] > 0.0)
    shape = (*rows.shape[:-1], _ROWS * _WRONG)
    spread = np.broadcast_to(rows[..., None], count.shape)
    return spread.reshape(shape), np.clip(share, 0.0, 1.0).reshape(shape), (weights[..., None] * inner).reshape(shape)
