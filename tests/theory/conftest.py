"""How a law is compared with a simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

SE = 3.0


@pytest.fixture
def agrees() -> Callable[[Callable[[int], npt.ArrayLike], npt.ArrayLike], None]:
    """agrees(simulate, law): means of simulate(seed) along its last axis within 3 standard errors of the law.

    simulate(seed) has shape (replicas,) for one law, or (laws, replicas). A grid of hundreds of configurations has some
    beyond 3 by chance; such a one is simulated again with another seed and must then be within 3. A right law fails
    with probability 7e-6 a comparison; one that is off by 2, 3, 4, 5 or 6 standard errors of the simulation passes with
    probability 0.97, 0.75, 0.29, 0.04 or 0.003. For the squared error of one Gaussian coordinate, whose standard
    deviation is 1.4 times its mean, 5 standard errors of 2,000 replicas are 16 % of it: smaller errors are found by
    many configurations together, or not at all.
    """

    def check(simulate: Callable[[int], npt.ArrayLike], law: npt.ArrayLike) -> None:
        expected, beyond = np.atleast_1d(np.asarray(law, np.float64)), np.array(True)
        for seed in (0, 1):
            found = np.atleast_2d(np.asarray(simulate(seed), np.float64))
            assert len(found) == len(expected)
            error = SE * found.std(axis=-1, ddof=1) / math.sqrt(found.shape[-1]) + 1e-12
            beyond = beyond & ~(np.abs(found.mean(axis=-1) - expected) <= error)
            if not beyond.any():
                return
        at = int(np.argmax(beyond))
        raise AssertionError(
            f"{at}: simulated {found[at].mean():.6g} +- {error[at]:.2g} (3 s.e.), law {expected[at]:.6g}"
        )

    return check
