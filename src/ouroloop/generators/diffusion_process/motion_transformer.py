r"""A text-conditioned transformer that denoises motions of different lengths.

Frames are grouped into tokens, which overlap on the way out; a first token holds noise level and caption; tokens beyond
a motion's length are masked. The network predicts the clean motion itself, so that losses on positions, velocities and
contacts stay meaningful.

Source: Tevet et al., "Human Motion Diffusion Model", arXiv 2209.14916, sec. 3 and fig. 2 (there one frame a token, CLIP
text, layer norm after each block; here normalisation comes before it, which trains without warm-up).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ouroloop.generators.diffusion_process.denoiser import Denoiser
from ouroloop.generators.diffusion_process.embedding import ConditionEmbedding
from ouroloop.generators.diffusion_process.schedule import Exploding
from ouroloop.generators.diffusion_process.text import NoText

__all__ = ["CleanMotion", "MotionTransformer", "by_length", "frame_mask"]

_GROUPS, _FEWEST = 4, 8  # groups of a batch, and rows of a group


def frame_mask(length: Tensor, frames: int) -> Tensor:
    """True for the frames of a motion, False for the padding after it; bool (B, frames)."""
    return torch.arange(frames, device=length.device) < length.unsqueeze(1)


def by_length(length: Tensor, patch: int) -> list[tuple[Tensor, int]]:
    """Rows of a batch in groups of like length, so that little is computed on padding.

    Args:
        length: frames of each motion, int (B,).
        patch: frames a token.

    Returns:
        for each group its row numbers, int64, and the frames in whole tokens that its longest motion needs.
    """
    order = torch.argsort(length, stable=True)
    groups = order.chunk(max(1, min(_GROUPS, len(length) // _FEWEST)))
    return [(rows, -(-int(length[rows[-1]]) // patch) * patch) for rows in groups]


class MotionTransformer(nn.Module):
    """F(x, noise, text, given, length) for motions of shape (B, frames, features).

    Args:
        features: numbers a frame.
        patch: frames a token.
        text: from a caption's numbers to a vector of length `width`.
        width, layers, heads, feed_forward: of the transformer.
        dropout: share of units dropped in training.
    """

    def __init__(
        self,
        features: int,
        *,
        patch: int,
        text: nn.Module,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.patch, self.width = patch, width
        self.level = ConditionEmbedding(width, 0)
        self.text = NoText(text, width)
        self.enter = nn.Linear(patch * features, width)
        self.blocks = nn.ModuleList(_Block(width, heads, feed_forward, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.leave = _Leave(width, patch, features)

    def forward(self, x: Tensor, noise: Tensor, text: Tensor, given: Tensor, length: Tensor) -> Tensor:
        """The clean motion's estimate, shape (B, frames, features).

        Args:
            x: noisy motions of variance about 1, shape (B, frames, features).
            noise: logarithm of the noise-to-signal ratio, shape (B,) or (1,).
            text: captions as numbers, shape (B, size).
            given: 1 where the caption counts, 0 where not, float32 (B,).
            length: frames of each motion, int (B,).
        """
        n, frames, features = x.shape
        tokens = -(-frames // self.patch)
        x = F.pad(x, (0, 0, 0, tokens * self.patch - frames))
        hidden = self.enter(x.reshape(n, tokens, self.patch * features))
        hidden = hidden + _positions(tokens, self.width, x)
        condition = self.level(noise, None) + self.text(text, given)
        hidden = torch.cat([condition.unsqueeze(1), hidden], dim=1)
        seen = frame_mask(-(-length // self.patch), tokens)
        looked_at = F.pad(seen, (1, 0), value=True)[:, None, None]
        for block in self.blocks:
            hidden = block(hidden, looked_at)
        return self.leave(self.norm(hidden[:, 1:]), seen)[:, :frames]


class CleanMotion(Denoiser):
    r"""A motion transformer that predicts the clean motion, as a denoiser.

    .. math:: D(x_t) = F\big(\frac{x_t}{\sqrt{1 + t^2}}, \ln t, c\big), \qquad
        L = \mathbb{E} \lVert D(X + t \epsilon) - X \rVert^2, \quad t = \tan \tfrac{\pi u}{2},\ u \sim U(0, 1)

    These are MDM's parametrisation, loss and noise levels: its cosine schedule has :math:`\alpha = \cos \pi u / 2` and
    :math:`\sigma = \sin \pi u / 2`, hence the ratio :math:`\tan \pi u / 2`. The loss counts real frames alone.

    Args:
        network: F.

    Source: arXiv 2209.14916, eq. 2; Nichol and Dhariwal, arXiv 2102.09672, eq. 17 (cosine schedule, offset left out).
    """

    def __init__(self, network: MotionTransformer) -> None:
        super().__init__()
        self.network, self.schedule = network, Exploding()

    def given(self, text: Tensor, length: Tensor, *, guidance_strength: float = 0.0) -> _Given:
        """This denoiser for fixed captions and lengths, guided by itself where the strength is not 0."""
        return _Given(self, text, length, guidance_strength)

    def estimate(self, x_t: Tensor, t: Tensor, text: Tensor, given: Tensor, length: Tensor) -> Tensor:
        """The clean motions, shape (B, frames, features); `t` of shape (B,) or (1,)."""
        scale = torch.rsqrt(1 + t * t).reshape(-1, 1, 1)
        return self.network(x_t * scale, torch.log(t), text, given, length)

    def loss(self, x: Tensor, text: Tensor, length: Tensor, *, dropout: float) -> Tensor:
        """Mean squared error over the frames of the motions, a scalar; a share `dropout` of captions is left out."""
        u = torch.rand(len(x), device=x.device).clamp(1e-4, 1 - 1e-3)
        t = torch.tan(u * (math.pi / 2))
        given = (torch.rand(len(x), device=x.device) >= dropout).to(x.dtype)
        noise, total = torch.randn_like(x), x.new_zeros(())
        for rows, frames in by_length(length, self.network.patch):
            clean, level = x[rows, :frames], t[rows]
            mask = frame_mask(length[rows], clean.shape[1]).unsqueeze(2)
            noisy = (clean + level.reshape(-1, 1, 1) * noise[rows, :frames]) * mask
            error = self.estimate(noisy, level, text[rows], given[rows], length[rows]) - clean
            total = total + (error.square() * mask).sum()
        return total / (length.sum() * x.shape[2])


class _Given(Denoiser):
    """A denoiser with its captions and lengths filled in: what a sampler calls.

    Source of the guidance: Ho and Salimans, arXiv 2207.12598, eq. 6 (see `cfg.ClassifierFree`); the length is known to
    both estimates, the caption to one.
    """

    def __init__(self, denoiser: CleanMotion, text: Tensor, length: Tensor, guidance_strength: float) -> None:
        super().__init__()
        self.denoiser, self.schedule = denoiser, denoiser.schedule
        self.text, self.length, self.guidance_strength = text, length, guidance_strength

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """The (guided) estimate; `label` is not used."""
        mask = frame_mask(self.length, x_t.shape[1]).unsqueeze(2)
        x_t, ones = x_t * mask, x_t.new_ones(len(x_t))
        conditional = self.denoiser.estimate(x_t, t, self.text, ones, self.length)
        if self.guidance_strength:
            free = self.denoiser.estimate(x_t, t, self.text, 0 * ones, self.length)
            conditional = conditional + self.guidance_strength * (conditional - free)
        return conditional * mask


class _Block(nn.Module):
    """Self-attention and two layers, each added to what came in."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look, self.gather = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, feed_forward), nn.Linear(feed_forward, width)

    def forward(self, hidden: Tensor, seen: Tensor) -> Tensor:
        n, tokens, width = hidden.shape
        split = self.look(self.norm_1(hidden)).reshape(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        drop = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=seen, dropout_p=drop)
        hidden = hidden + self._drop(self.gather(mixed.transpose(1, 2).reshape(n, tokens, width)))
        return hidden + self._drop(self.narrow(self._drop(F.gelu(self.widen(self.norm_2(hidden))))))

    def _drop(self, values: Tensor) -> Tensor:
        return F.dropout(values, self.dropout, self.training) if self.dropout else values


class _Leave(nn.Module):
    """From tokens to frames. Where a token is several frames, neighbours overlap by half and are blended.

    Without the overlap, motions jump at the borders of tokens: measured on 64 clips, accelerations there were ten times
    those within.
    """

    def __init__(self, width: int, patch: int, features: int) -> None:
        super().__init__()
        self.patch, self.features = patch, features
        self.span = 2 * patch if patch > 1 else 1  # frames that a token has a say in
        self.layer = nn.Linear(width, self.span * features)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)
        window = torch.sin((torch.arange(self.span) + 0.5) * (math.pi / self.span)).square()
        self.register_buffer("window", window, persistent=False)
        self.window: Tensor

    def forward(self, hidden: Tensor, seen: Tensor) -> Tensor:
        """Frames (B, tokens * patch, features) from tokens (B, tokens, width); those not `seen` have no say."""
        n, tokens, _ = hidden.shape
        spans = self.layer(hidden).reshape(n, tokens, self.span, self.features)
        if self.patch == 1:
            return spans[:, :, 0]
        weight = self.window[:, None] * seen[:, :, None, None]
        total = self._added(weight).clamp_min(1e-6)
        return (self._added(spans * weight) / total)[:, self.patch // 2 :][:, : tokens * self.patch]

    def _added(self, spans: Tensor) -> Tensor:
        """Spans (B, tokens, 2 patch, k), each shifted by a patch from the one before, added up."""
        early, late = spans[:, :, : self.patch], spans[:, :, self.patch :]
        both = F.pad(early, (0, 0, 0, 0, 0, 1)) + F.pad(late, (0, 0, 0, 0, 1, 0))
        return both.flatten(1, 2)


def _positions(tokens: int, width: int, like: Tensor) -> Tensor:
    """Sines and cosines of the token's number, shape (tokens, width).

    Source: Vaswani et al., arXiv 1706.03762, sec. 3.5.
    """
    place = torch.arange(tokens, device=like.device, dtype=like.dtype).unsqueeze(1)
    rates = torch.exp(torch.arange(0, width, 2, device=like.device, dtype=like.dtype) * (-math.log(1e4) / width))
    angle = place * rates
    return torch.cat([angle.sin(), angle.cos()], dim=1)[:, :width]
