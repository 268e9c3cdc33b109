"""What a denoising network is told beside its input: the noise level and the class, as one vector."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ConditionEmbedding"]


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
