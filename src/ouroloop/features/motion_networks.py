"""The two networks of the motion evaluator: sequences and captions to points of one space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ouroloop.keys import Key

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["caption_network", "motion_network", "sequence_tensor"]


def sequence_tensor(x: np.ndarray, lengths: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> torch.Tensor:
    """Sequences (n, frames, channels), standardised, zero after their lengths, as float32 (n, channels, frames)."""
    import torch

    frames = int(lengths.max())
    values = (np.asarray(x[:, :frames], np.float32) - mean) / scale
    values *= (np.arange(frames) < lengths[:, None])[:, :, None]
    return torch.from_numpy(values.astype(np.float32, copy=False)).transpose(1, 2)


def motion_network(channels: int, width: int, embedding: int, *, key: Key | None = None) -> nn.Module:
    """A module from (n, channels, frames) and lengths (n,) to (n, embedding); padding does not change a result.

    Convolutions at a quarter of the frame rate, then mean and maximum over time.

    Args:
        channels: numbers a frame.
        width: channels of the convolutions.
        embedding: numbers of the result.
        key: draws the weights; None leaves them to be loaded.
    """
    import torch
    from torch import nn
    from torch.nn.functional import gelu

    class Motion(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frame = nn.Conv1d(channels, width, 1)
            self.halve = nn.ModuleList(nn.Conv1d(width, width, 4, stride=2, padding=1) for _ in range(2))
            self.block = nn.ModuleList(nn.Conv1d(width, width, 3, padding=d, dilation=d) for d in (1, 2))
            self.norm = nn.LayerNorm(2 * width)
            self.hidden = nn.Linear(2 * width, 2 * width)
            self.out = nn.Linear(2 * width, embedding)

        def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            x = gelu(self.frame(x)) * _mask(lengths, x)
            for layer in self.halve:
                lengths = (lengths + 1) // 2
                # One frame more, so that an odd number of frames loses none.
                x = gelu(layer(nn.functional.pad(x, (0, 1))))
                x = x * _mask(lengths, x)
            mask = _mask(lengths, x)
            for layer in self.block:
                x = (x + gelu(layer(x))) * mask
            mean = x.sum(dim=2) / lengths[:, None]
            top = x.masked_fill(mask == 0, float("-inf")).amax(dim=2)
            return self.out(gelu(self.hidden(self.norm(torch.cat([mean, top], dim=1)))))

    with torch.device("meta"):  # so that torch's own initialisation draws nothing from the global stream
        net = Motion()
    return _drawn(net, key)


def caption_network(rows: int, width: int, embedding: int, *, vectors: int = 0, key: Key | None = None) -> nn.Module:
    """A module from a bag of table rows (m,) and where each caption begins (n,) to (n, embedding).

    Args:
        rows: rows of the table.
        width: numbers a row.
        embedding: numbers of the result.
        vectors: instead of bags, captions come as float vectors of so many numbers, (n, vectors).
        key: draws the weights; None leaves them to be loaded.
    """
    import torch
    from torch import nn
    from torch.nn.functional import gelu

    class Caption(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Linear(vectors, width) if vectors else nn.EmbeddingBag(rows, width, mode="mean")
            self.hidden = nn.Linear(width, 2 * width)
            self.out = nn.Linear(2 * width, embedding)

        def forward(self, *bags: torch.Tensor) -> torch.Tensor:
            return self.out(gelu(self.hidden(self.table(*bags))))

    with torch.device("meta"):
        net = Caption()
    return _drawn(net, key)


def _mask(lengths: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """1 in the first `lengths` steps of x (n, channels, steps), else 0; shape (n, 1, steps)."""
    import torch

    return (torch.arange(x.shape[2]) < lengths[:, None])[:, None].to(x.dtype)


def _drawn(net: nn.Module, key: Key | None) -> nn.Module:
    """The module with weights drawn from the key: unit-variance outputs, table rows of unit variance."""
    from torch import nn

    net.to_empty(device="cpu")
    if key is None:
        return net
    stream = key.torch()
    for layer in net.modules():
        if isinstance(layer, nn.EmbeddingBag):
            nn.init.normal_(layer.weight, generator=stream)
        elif isinstance(layer, nn.LayerNorm):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear | nn.Conv1d) and layer.bias is not None:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear", generator=stream)
            nn.init.zeros_(layer.bias)
    return net
