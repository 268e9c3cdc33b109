"""The network of the classifier features: a trunk from a row to its features, and a linear head over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ouroloop.keys import Key

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["network", "tensor"]

_CONVOLVED = 6  # smallest side, in pixels, that is treated as an image


def tensor(x: np.ndarray, mean: float, scale: float) -> torch.Tensor:
    """Rows x, shape (n, ...), standardised, as float32."""
    import torch

    return torch.from_numpy((np.asarray(x, np.float32) - np.float32(mean)) / np.float32(scale))


def network(shape: tuple[int, ...], width: int, embedding: int, classes: int, *, key: Key | None = None) -> nn.Module:
    """A module with the parts `trunk` (rows to (n, embedding)) and `head` ((n, embedding) to (n, classes)).

    Args:
        shape: shape of a row: (height, width), (channels, height, width), or anything else to be flattened.
        width: channels of the first convolution, a sixteenth of the hidden layer's width for other rows.
        embedding: number of features.
        classes: number of classes.
        key: draws the weights (He initialisation); None leaves them to be loaded.
    """
    import torch
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Sequential(*_trunk(shape, width, embedding))
            self.head = nn.Linear(embedding, classes)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.trunk(x).relu())

    with torch.device("meta"):  # so that torch's own initialisation draws nothing from the global stream
        net = Network()
    net.to_empty(device="cpu")
    if key is not None:
        stream = key.child("weights").torch()
        for value in net.parameters():
            if value.ndim > 1:
                nn.init.kaiming_normal_(value, nonlinearity="relu", generator=stream)
            else:
                nn.init.zeros_(value)
    return net


def _trunk(shape: tuple[int, ...], width: int, embedding: int) -> list[nn.Module]:
    """Layers from a row to its features: two convolutions for an image, one hidden layer for another row."""
    from torch import nn

    if len(shape) not in (2, 3) or min(shape[-2:]) < _CONVOLVED:
        hidden = 16 * width
        return [nn.Flatten(), nn.Linear(int(np.prod(shape)), hidden), nn.ReLU(), nn.Linear(hidden, embedding)]
    channels = shape[0] if len(shape) == 3 else 1
    rows, columns = (shape[-2] + 1) // 4, (shape[-1] + 1) // 4  # halved by the stride (up), then the pool (down)
    return [
        nn.Unflatten(1, (1, shape[0])) if len(shape) == 2 else nn.Identity(),
        nn.Conv2d(channels, width, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * width * rows * columns, embedding),
    ]
