"""LoadedDataset: what every data set's `load` returns; it satisfies `protocols.Dataset`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["FreshRows", "LoadedDataset"]

FreshRows = Callable[[int, Key], Samples]
"""``fresh_fn(n, key)``: n real rows that are in neither `real` nor `held_out`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LoadedDataset:
    """Real data in memory (or memory-mapped), ready for a run.

    Args:
        name: short name, for messages.
        real: the rows to train on, checked to be finite and not empty.
        held_out: rows that only metrics see, or None.
        fresh_fn: draws further real rows, or None where the data set is a fixed table.
        background_fn: gives real rows for feature extractors to learn from, `real` among them and none of `held_out`;
            None: there are no others than `real`.

    Raises:
        DataError: no real rows, or NaN or infinity among the real or held-out rows.
    """

    name: str
    real: Samples
    held_out: Samples | None = None
    fresh_fn: FreshRows | None = field(default=None, repr=False)
    background_fn: Callable[[], Samples] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if len(self.real) == 0:
            raise DataError(f"data set '{self.name}' has no real rows; a loop needs at least one")
        self.real.check_finite(f"real data of '{self.name}'")
        if self.held_out is not None:
            self.held_out.check_finite(f"held-out data of '{self.name}'")

    @property
    def has_fresh(self) -> bool:
        """Whether `fresh` can be asked for rows at all."""
        return self.fresh_fn is not None

    def fresh(self, n: int, *, key: Key) -> Samples:
        """n real rows that are in neither `real` nor `held_out`.

        Raises:
            DataError: the data set has no (or not enough) further real rows, or n is negative.
        """
        if n < 0:
            raise DataError(f"cannot draw {n} fresh rows of '{self.name}'; ask for 0 or more")
        if self.fresh_fn is None:
            raise DataError(
                f"data set '{self.name}' is a fixed table and has no fresh real rows; use a regime and corrector "
                "that need none, or a data set with an exact sampler (gaussian, mixture)"
            )
        rows = self.fresh_fn(n, key)
        if len(rows) != n:
            raise DataError(f"data set '{self.name}' was asked for {n} fresh rows and gave {len(rows)}")
        return rows
