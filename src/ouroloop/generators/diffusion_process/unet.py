"""A small convolutional U-Net that denoises images, laid out for speed on processors without matrix units.

Pixels are first gathered into patches (28x28 becomes 7x7 with 16 channels): dense 3x3 convolutions over few
positions and many channels run near the processor's peak, and the passes over memory in between are short.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ouroloop.generators.diffusion_process.embedding import ConditionEmbedding

__all__ = ["UNet"]


class UNet(nn.Module):
    """F(x, noise, label) for images of shape (B, height, width) or (B, channels, height, width).

    Args:
        shape: (height, width) or (channels, height, width).
        patch: side of the squares of pixels that are gathered into channels.
        widths: channels at each resolution; every further entry halves height and width.
        blocks: residual blocks at each resolution, before and after the deeper ones.
        n_classes: number of classes, 0 for none.
        dropout: share of channels dropped in training.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        patch: int,
        widths: Sequence[int],
        blocks: Sequence[int],
        n_classes: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.patch = patch
        self.pad = [-side % (patch * 2 ** (len(widths) - 1)) for side in shape[-2:]]
        colours = 1 if len(shape) == 2 else shape[0]
        inner = colours * patch * patch
        embedding = 2 * max(widths)
        self.condition = ConditionEmbedding(embedding, n_classes)
        self.enter = nn.Conv2d(inner, widths[0], 3, padding=1)
        self.level = _Level(widths, blocks, embedding, dropout)
        self.leave = nn.Conv2d(widths[0], inner, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Shape (B, ...) as x."""
        images = x.unsqueeze(1) if x.ndim == 3 else x
        height, width = images.shape[-2:]
        hidden = F.pixel_unshuffle(F.pad(images, (0, self.pad[1], 0, self.pad[0])), self.patch)
        hidden = self.enter(hidden.contiguous(memory_format=torch.channels_last))
        hidden = self.level(hidden, self.condition(noise, label))
        output = F.pixel_shuffle(self.leave(F.silu(hidden)), self.patch)
        return output[..., :height, :width].reshape(x.shape)


class _Level(nn.Module):
    """Residual blocks around a level of half the size."""

    def __init__(self, widths: Sequence[int], blocks: Sequence[int], embedding: int, dropout: float) -> None:
        super().__init__()
        here, *deeper = widths
        self.before = nn.ModuleList(_Block(here, embedding, dropout) for _ in range(blocks[0]))
        self.inner = _Level(deeper, blocks[1:], embedding, dropout) if deeper else None
        if deeper:
            self.down = nn.Conv2d(here, deeper[0], 2, stride=2)
            self.up = nn.ConvTranspose2d(deeper[0], here, 2, stride=2)
            self.after = nn.ModuleList(_Block(here, embedding, dropout) for _ in range(blocks[0]))

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        for block in self.before:
            hidden = block(hidden, condition)
        if self.inner is not None:
            hidden = hidden + self.up(self.inner(self.down(hidden), condition))
            for block in self.after:
                hidden = block(hidden, condition)
        return hidden


class _Block(nn.Module):
    """Two convolutions, the second modulated by noise level and class; starts as the identity."""

    def __init__(self, width: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.dropout = nn.Dropout2d(dropout) if dropout else None
        for layer in (self.modulation, self.second):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, hidden: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        inner = F.silu(torch.addcmul(shift, self.first(F.silu(hidden)), 1 + scale))
        if self.dropout is not None:
            inner = self.dropout(inner)
        return hidden + self.second(inner)
