"""Conformance suites for the parts of a loop: subclass one in a test file and say how to make your part.

For example, in ``test_mine.py``::

    from ouroloop.testing import GeneratorSuite


    class TestMine(GeneratorSuite):
        def make(self):
            return Mine()

The suites are imported when they are first asked for; they need pytest.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ouroloop.testing.corrector_suite import CorrectorSuite
    from ouroloop.testing.generator_suite import GeneratorSuite
    from ouroloop.testing.metric_suite import MetricSuite
    from ouroloop.testing.regime_suite import RegimeSuite
    from ouroloop.testing.store_suite import StoreSuite

__all__ = ["CorrectorSuite", "GeneratorSuite", "MetricSuite", "RegimeSuite", "StoreSuite"]

_MEMBERS = {
    "CorrectorSuite": "corrector_suite",
    "GeneratorSuite": "generator_suite",
    "MetricSuite": "metric_suite",
    "RegimeSuite": "regime_suite",
    "StoreSuite": "store_suite",
}

with contextlib.suppress(ImportError):
    import pytest

    # The suites' bare asserts should explain themselves in other packages' test runs too.
    pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MEMBERS.values()))


def __getattr__(name: str) -> Any:
    if name not in _MEMBERS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'; it has: {', '.join(_MEMBERS)}")
    return getattr(importlib.import_module(f"{__name__}.{_MEMBERS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_MEMBERS)
