"""The errors of Ouroloop: every message says what was got, what was expected and what to do next."""

from __future__ import annotations

__all__ = [
    "DataError",
    "GuardError",
    "MissingExtraError",
    "OuroloopError",
    "PartError",
    "SpecError",
    "StoreError",
]


class OuroloopError(Exception):
    """Base class: catch this to catch everything that Ouroloop raises on purpose."""


class DataError(OuroloopError, ValueError):
    """Data that cannot be used: empty, ragged, NaN or infinite, of the wrong shape or columns."""


class SpecError(OuroloopError, ValueError):
    """A specification that cannot be run; the message names the field, the value and the file's line."""


class PartError(OuroloopError):
    """A generator, corrector, regime or metric broke its contract or failed."""


class GuardError(OuroloopError):
    """A guard that the user set (for example a minimum real share) would be violated."""


class StoreError(OuroloopError):
    """A run directory that cannot be written, read or trusted; the message names the file."""


class MissingExtraError(OuroloopError, ImportError):
    """An optional dependency is needed; the message names the extra that installs it."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(f"{feature} needs '{package}', which is not installed: pip install 'ouroloop[{extra}]'")
