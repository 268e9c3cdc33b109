"""Diffusion or flow matching for vectors: points in the plane, tables, small flattened images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ouroloop.generators.diffusing import Diffusing
from ouroloop.generators.diffusion_process.mlp import Mlp
from ouroloop.generators.summary import Summary

__all__ = ["Diffusion"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Diffusion(Diffusing):
    """A diffusion model with a multilayer perceptron; rows of any shape are flattened and restored.

    Rows are brought to mean 0 and standard deviation 1 by the statistics of the first training rows; these are
    kept through fine-tuning, so that a drift of the data is learnt by the weights and not hidden by the scale.
    """

    width: Annotated[int, Field(ge=1, description="hidden units of a layer")] = 128
    depth: Annotated[int, Field(ge=1, description="residual blocks of two layers")] = 3
    dropout: Annotated[float, Field(ge=0, lt=1, description="share of hidden units dropped in training")] = 0.0
    scale_by: Annotated[
        Literal["feature", "data"], Field(description="one standard deviation a feature, or one for all")
    ] = "feature"

    def backbone(self, data: Summary) -> nn.Module:
        """The perceptron."""
        n_classes = data.n_classes if self.use_labels else 0
        return Mlp(data.size, width=self.width, depth=self.depth, n_classes=n_classes, dropout=self.dropout)

    def scaling(self, summary: Summary) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, each of a row's shape; features that never vary keep their unit."""
        std = summary.std if self.scale_by == "feature" else np.sqrt(np.mean(summary.std**2, keepdims=True))
        return torch.from_numpy(summary.mean), torch.from_numpy(np.where(std > 0, std, 1.0))
