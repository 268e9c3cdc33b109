"""A residual multilayer perceptron that denoises vectors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from ouroloop.generators.diffusion_process.embedding import ConditionEmbedding

__all__ = ["Mlp"]


class Mlp(nn.Module):
    """F(x, noise, label) for rows of any shape, which are flattened.

    Args:
        size: number of values in a row.
        width: hidden units. depth: residual blocks of two layers.
        n_classes: number of classes, 0 for none.
        dropout: share of hidden units dropped in training.
    """

    def __init__(self, size: int, *, width: int, depth: int, n_classes: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.condition = ConditionEmbedding(width, n_classes)
        self.enter = nn.Linear(size, width)
        self.blocks = nn.ModuleList(_Block(width, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, size)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Shape (B, ...) as x."""
        condition = self.condition(noise, label)
        hidden = self.enter(x.flatten(1))
        for block in self.blocks:
            hidden = block(hidden, condition)
        return self.leave(F.silu(self.norm(hidden))).reshape(x.shape)


class _Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.condition = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        inner = F.silu(self.first(self.norm(hidden)) + self.condition(condition))
        return hidden + self.second(self.dropout(inner))
