"""A residual multilayer perceptron that denoises vectors."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConditionEmbedding", "Mlp"]


class ConditionEmbedding(nn.Module):
    """Noise level and class as one vector: Fourier features of the level through a layer, plus one per class.

    Args:
        width: length of the vector.
        n_classes: number of classes, 0 for none.
        frequencies: number of sines; they span periods of 0.5 to 64 in the level's logarithm.
    """

    def __init__(self, width: int, n_classes: int, *, frequencies: int = 16) -> None:
        super().__init__()
        periods = torch.logspace(-1, 6, frequencies, base=2.0)
        self.register_buffer("omega", 2 * math.pi / periods, persistent=False)
        self.omega: Tensor
        self.level = nn.Linear(2 * frequencies, width)
        # the last row stands for "no label"
        self.label = nn.Embedding(n_classes + 1, width) if n_classes else None
        self.mix = nn.Linear(width, width)

    def forward(self, noise: Tensor, label: Tensor | None) -> Tensor:
        """The vectors, shape (B, width); (1, width) where all rows share noise level and label."""
        phase = noise.reshape(-1, 1) * self.omega
        vector = self.level(torch.cat([phase.sin(), phase.cos()], dim=1))
        if self.label is not None:
            none = self.label.num_embeddings - 1
            vector = vector + self.label(noise.new_full((1,), none, dtype=torch.long) if label is None else label)
        return F.silu(self.mix(F.silu(vector)))


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
