"""Ouroloop: run, correct, measure and forecast self-consuming training loops.

Names are imported when they are first used, so that ``import ouroloop`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ouroloop import regimes
    from ouroloop.callbacks import Callback, EarlyStop, LogProgress
    from ouroloop.correction import Correction
    from ouroloop.errors import OuroloopError
    from ouroloop.forecasting import forecast
    from ouroloop.generators.torch_generator import TorchGenerator
    from ouroloop.keys import Key
    from ouroloop.loop import Loop
    from ouroloop.pool import Pool
    from ouroloop.protocols import Corrector, Dataset, Generator, Measurement, Metric, Reference, Regime
    from ouroloop.samples import Samples, Verdict
    from ouroloop.spec import Spec
    from ouroloop.state import Info, State
    from ouroloop.step import Step
    from ouroloop.store import RunStore
    from ouroloop.study import Study, run_study

_HOMES = {
    "Callback": "callbacks",
    "Correction": "correction",
    "Corrector": "protocols",
    "Dataset": "protocols",
    "EarlyStop": "callbacks",
    "Generator": "protocols",
    "Info": "state",
    "Key": "keys",
    "LogProgress": "callbacks",
    "Loop": "loop",
    "Measurement": "protocols",
    "Metric": "protocols",
    "OuroloopError": "errors",
    "Pool": "pool",
    "Reference": "protocols",
    "Regime": "protocols",
    "RunStore": "store",
    "Samples": "samples",
    "Spec": "spec",
    "State": "state",
    "Step": "step",
    "Study": "study",
    "TorchGenerator": "generators.torch_generator",
    "Verdict": "samples",
    "forecast": "forecasting",
    "run_study": "study",
}

__all__ = [
    "Callback",
    "Correction",
    "Corrector",
    "Dataset",
    "EarlyStop",
    "Generator",
    "Info",
    "Key",
    "LogProgress",
    "Loop",
    "Measurement",
    "Metric",
    "OuroloopError",
    "Pool",
    "Reference",
    "Regime",
    "RunStore",
    "Samples",
    "Spec",
    "State",
    "Step",
    "Study",
    "TorchGenerator",
    "Verdict",
    "forecast",
    "regimes",
    "run_study",
]


def __getattr__(name: str) -> Any:
    if name == "regimes":
        return importlib.import_module("ouroloop.regimes")
    if name in _HOMES:
        return getattr(importlib.import_module(f"ouroloop.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ouroloop' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
