"""How a law is compared with a simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

SE = 3.0


@pytest.fixture
def agrees() -> Callable[[Callable[[int], np.ndarray], float], None]:
    """agrees(simulate, law): mean of simulate(seed) within 3 standard errors of the law.

    A grid of hundreds of configurations has some beyond 3 by chance; such a one is simulated again with another seed
    and must then be within 3. A right law fails with probability 7e-6 a configuration, a wrong one does not pass.
    """

    def check(simulate: Callable[[int], np.ndarray], law: float) -> None:
        for seed in (0, 1):
            found = np.asarray(simulate(seed), np.float64)
            error = SE * found.std(ddof=1) / math.sqrt(len(found)) + 1e-12
            if abs(found.mean() - law) <= error:
                return
        raise AssertionError(f"simulated {found.mean():.6g} +- {error:.2g} (3 s.e.), law {law:.6g}")

    return check
