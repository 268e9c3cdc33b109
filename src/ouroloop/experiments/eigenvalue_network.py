r"""A small transformer that reads a symmetric matrix and gives a distribution over its eigenvalues.

The rows of the matrix are the tokens. What comes out are the centre $\hat\lambda$ (ascending, but that is learned) and
the scale b of a Laplace distribution, trained on

$$ -\log \prod_{i=1}^{d} \frac{1}{2 b} e^{-|\lambda_i - \hat\lambda_i| / b} . $$

The centre is the answer, what greedy decoding is to a model of tokens; draws are its further hypotheses, and their
density is the model's own confidence in them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ouroloop.keys import Key

__all__ = ["Answers", "EigenvalueNetwork", "answers", "train"]


class Answers(NamedTuple):
    """Centres float32 (n, d) and scales float32 (n,)."""

    centre: np.ndarray
    scale: np.ndarray

    def draws(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Hypotheses, float32 (n, count, d), and their log densities but for a constant, float64 (n, count)."""
        noise = rng.laplace(size=(len(self.centre), count, self.centre.shape[1]))
        said = self.centre[:, None] + self.scale[:, None, None] * noise
        density = -self.centre.shape[1] * np.log(self.scale.astype(np.float64))[:, None] - np.abs(noise).sum(axis=2)
        return said.astype(np.float32), density


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        query, key, value = self.mixed(self.before(x)).view(n, tokens, 3, self.heads, -1).unbind(dim=2)
        # for a handful of tokens sums of products take half the time of torch's attention
        score = (query[:, :, None] * key[:, None]).sum(dim=-1) * query.shape[-1] ** -0.5
        seen = (score.softmax(dim=2)[..., None] * value[:, None]).sum(dim=2)
        x = x + self.out(seen.reshape(n, tokens, width))
        return x + self.narrow(functional.relu(self.wide(self.between(x))))


class EigenvalueNetwork(nn.Module):
    """A pre-norm encoder.

    Args:
        size: d, rows of the matrices.
        width, layers, heads: of the encoder; heads divide width.
    """

    def __init__(self, size: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Linear(size, width)
        self.position = nn.Parameter(0.02 * torch.randn(size, width))
        self.blocks = nn.Sequential(*(_Block(width, heads) for _ in range(layers)), nn.LayerNorm(width))
        self.hidden = nn.Linear(width, 2 * width)
        self.head = nn.Linear(2 * width, size + 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Centres (n, d) and log scales (n,) of matrices (n, d, d)."""
        pooled = self.blocks(self.embedding(x) + self.position).mean(dim=1)
        found = self.head(functional.relu(self.hidden(pooled)))
        return found[:, : self.size], found[:, self.size].clamp(-7.0, 3.0)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Mean negative log-likelihood an eigenvalue, without log 2, of y (n, d)."""
        centre, scale = self(x)
        return (scale + (y - centre).abs().mean(dim=1) / scale.exp()).mean()


def train(
    network: EigenvalueNetwork, x: np.ndarray, y: np.ndarray, steps: int, batch: int, rate: float, key: Key
) -> None:
    """Train in place: AdamW, warm-up over a tenth of the steps, then a cosine to 0; rows are drawn with replacement.

    Args:
        network: to train.
        x, y: matrices (n, d, d) and eigenvalues (n, d), float32.
        steps, batch, rate: of the optimiser.
        key: of the draws.
    """
    inputs, targets = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y))
    rows = torch.randint(len(x), (steps, batch), generator=key.torch())
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _pace(step / steps))
    for chosen in rows:
        loss = network.loss(inputs[chosen], targets[chosen])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()


def _pace(done: float) -> float:
    return min(done / 0.1 + 1e-3, 0.5 * (1.0 + float(np.cos(np.pi * done))))


@torch.no_grad()
def answers(network: EigenvalueNetwork, x: np.ndarray, chunk: int = 4096) -> Answers:
    """What the network says of matrices, float32 (n, d, d)."""
    parts = []
    for start in range(0, len(x), chunk):
        centre, scale = network(torch.from_numpy(np.ascontiguousarray(x[start : start + chunk])))
        parts.append((centre, scale.exp()))
    return Answers(*(torch.cat(part).numpy() for part in zip(*parts, strict=True)))
