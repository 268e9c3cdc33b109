"""Diffusion or flow matching for vectors: points in the plane, tables, small flattened images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

from ouroloop.generators.diffusing import Diffusing
from ouroloop.generators.diffusion_process.mlp import Mlp
from ouroloop.generators.summary import Summary

__all__ = ["Diffusion"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Diffusion(Diffusing):
    """A diffusion model with a multilayer perceptron; rows of any shape are flattened and restored.

    Rows are brought to mean 0 and standard deviation 1 by the statistics of the first training rows.
    """

    width: Annotated[int, Field(ge=1, description="hidden units of a layer")] = 128
    depth: Annotated[int, Field(ge=1, description="residual blocks of two layers")] = 3
    dropout: Annotated[float, Field(ge=0, lt=1, description="share of hidden units dropped in training")] = 0.0

    def backbone(self, data: Summary) -> nn.Module:
        """The perceptron."""
        classes = self.n_classes(data)
        return Mlp(data.size, width=self.width, depth=self.depth, n_classes=classes, dropout=self.dropout)
