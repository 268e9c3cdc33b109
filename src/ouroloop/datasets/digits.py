"""scikit-learn's bundled digits: 1,797 real handwritten digits of 8x8 pixels, available offline at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache as remember
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ouroloop.datasets.loaded import LoadedDataset
from ouroloop.datasets.split import reserve_rows, stratified_order
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["Digits"]

_SPLIT = Key(0, ("datasets", "digits", "split"))  # fixed: every run, seed and arm holds out the same images
_ROWS = 1797


@dataclass(frozen=True, kw_only=True)
class Digits:
    """The test part of UCI's "Optical Recognition of Handwritten Digits", as bundled with scikit-learn.

    ``x`` is float32 (n, 8, 8) in [0, 1]: the published grey values 0..16 (ink pixels in a 4x4 block)
    divided by 16. ``label`` is int64 (n,), 0..9, about 178 images a class. The split is stratified by class
    and does not depend on the run's seed; ids count training rows first, then held-out, then reserve rows.
    The same 13 people wrote training and held-out images: held-out numbers say how well these writers'
    digits are met, not how well unseen writers' are.

    Source: E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, doi:10.24432/C50P49 (CC BY 4.0).
    """

    held_out: Annotated[int, Field(ge=0, le=_ROWS - 10, description="images kept from training, for metrics")] = 450
    reserve: Annotated[
        int, Field(ge=0, le=_ROWS - 10, description="further images kept from training, handed out as fresh real rows")
    ] = 0

    def load(self, *, key: Key, cache: Path | None = None) -> LoadedDataset:
        """The data set; `key` is not used (the split is fixed), nor is `cache` (nothing is downloaded).

        Raises:
            DataError: fewer than 10 images would be left to train on.
        """
        x, label = _bundled()
        held_out, reserve = self.held_out, self.reserve
        n_real = len(x) - held_out - reserve
        if n_real < 10:
            raise DataError(
                f"digits: {held_out} held-out and {reserve} reserve images leave {n_real} of {len(x)} to train on; "
                "leave at least 10"
            )
        order = stratified_order(label, key=_SPLIT)
        parts = np.split(order, [held_out, held_out + reserve])
        offsets = {"held_out": n_real, "reserve": n_real + held_out, "real": 0}
        tables = {
            name: Samples.of(x[rows := np.sort(part)], label=label[rows], id=offset + np.arange(len(rows)))
            for (name, offset), part in zip(offsets.items(), parts, strict=True)
        }
        kept = tables["reserve"]

        def fresh(n: int, key: Key) -> Samples:
            return kept.take(reserve_rows(len(kept), n, key=key, name="digits"))

        return LoadedDataset(
            name="digits",
            real=tables["real"],
            held_out=tables["held_out"] if held_out else None,
            fresh_fn=fresh if reserve else None,
        )


@remember
def _bundled() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    x, label = (data.images / 16).astype(np.float32), data.target.astype(np.int64)
    x.flags.writeable = label.flags.writeable = False  # shared by every load in this process
    return x, label
