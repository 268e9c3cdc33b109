"""What our network generators share: rows brought to unit scale, and class labels where there are any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ouroloop.generators.summary import Summary
from ouroloop.generators.torch_generator import TorchGenerator

__all__ = ["ScaleBy", "StandardisedGenerator"]

ScaleBy = Literal["feature", "data", "image"]


@dataclass(frozen=True, kw_only=True, eq=False)
class StandardisedGenerator(TorchGenerator):
    """A torch generator that trains on (x - centre) / scale.

    Centre and scale are those of the first training rows and are kept through fine-tuning: a drift of the data
    has to be learnt by the weights, and is not hidden by a drift of the scale.
    """

    scale_by: Annotated[
        ScaleBy,
        Field(description="feature: a centre and scale each; data: a centre each, one scale; image: one of both"),
    ] = "feature"
    use_labels: Annotated[bool, Field(description="learn one distribution a class, where rows have labels")] = True

    @property
    def conditional(self) -> bool:
        """Whether rows are drawn for class labels."""
        return self._trained is not None and self.n_classes(self._trained.summary) > 0

    def n_classes(self, summary: Summary) -> int:
        """Number of classes that are told apart, 0 for none."""
        return summary.n_classes if self.use_labels else 0

    def standardise(self, x: Tensor) -> Tensor:
        """(x - centre) / scale, float32, shape (B, ...)."""
        centre, scale = self._centre_and_scale(x)
        return ((x - centre) / scale).float()

    def restore(self, z: Tensor) -> Tensor:
        """The inverse of `standardise`."""
        centre, scale = self._centre_and_scale(z)
        return z * scale + centre

    def one_hot(self, label: Tensor | None) -> Tensor | None:
        """Class numbers (B,) as float32 (B, classes); None where classes are not told apart."""
        count = self.n_classes(self.trained.summary)
        return F.one_hot(label, count).float() if count and label is not None else None

    def log_scale(self) -> float:
        """Sum of the logarithms of all features' scales, in nats: what a log density loses by going back."""
        return float(np.sum(np.log(np.broadcast_to(self._statistics()[1], self.trained.summary.shape))))

    def _statistics(self) -> tuple[np.ndarray, np.ndarray]:
        summary = self.trained.summary
        centre, scale = summary.mean, summary.std
        if self.scale_by == "image":
            centre = summary.mean.mean()
        if self.scale_by != "feature":
            scale = np.sqrt(np.mean(summary.std**2 + (summary.mean - centre) ** 2))
        # a feature that never varies keeps its unit; rounding may leave it a spread of 1e-16
        return np.asarray(centre), np.where(scale > 1e-12 * np.abs(centre), scale, 1.0)

    def _centre_and_scale(self, like: Tensor) -> tuple[Tensor, Tensor]:
        centre, scale = self._statistics()
        return torch.from_numpy(centre).to(like), torch.from_numpy(scale).to(like)
