r"""Training of the motion evaluator: captions and motions that belong together are drawn together.

$$ L = -\tfrac12 \sum_i \log \frac{\sum_{j \in S_i} e^{-s |m_i - c_j|^2} / |S_i|}{\sum_j e^{-s |m_i - c_j|^2}} $$

and the same with captions and motions exchanged; $S_i$ are the rows of a batch whose captions say the same. The
distance is Euclidean, because matching score, R-precision and the Fréchet distance are Euclidean too.

Source: InfoNCE of van den Oord et al. (arXiv 1807.03748), between text and motion as in Petrovich et al. (TMR,
arXiv 2305.00976), with all equal captions as positives (Khosla et al., arXiv 2004.11362, the outer form).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ouroloop.errors import PartError
from ouroloop.features.motion_networks import sequence_tensor
from ouroloop.features.retrieval import batches_of, retrieval_hits
from ouroloop.keys import Key

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Captions", "Schedule", "Sequences", "embed_captions", "embed_motions", "train"]

_CHUNK = 64  # rows at a time
_NOISE = 0.1  # standard deviations of a channel, added to the motions of a step
_SHORTEST = 0.7  # share of a motion's frames that a step sees at least
_FORGET = 0.1  # share of the pieces of a caption that a step does not see
_SHARPNESS = 0.1  # s at the start
_RETRIEVAL_BATCH, _RETRIEVALS = 32, 20  # how the stopping rows are searched
_LOSS_SHARE = 0.01


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences with their scale: x (n, frames, channels), lengths (n,), mean and scale (channels,)."""

    x: np.ndarray
    lengths: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    def take(self, rows: np.ndarray) -> Sequences:
        """The sequences at these positions."""
        return Sequences(self.x[rows], self.lengths[rows], self.mean, self.scale)

    def tensor(self) -> torch.Tensor:
        """Standardised sequences, float32 (n, channels, frames)."""
        return sequence_tensor(self.x, self.lengths, self.mean, self.scale)


@dataclass(frozen=True, eq=False)
class Captions:
    """Captions as the text network takes them: bags of table rows (see `Vocabulary.encode`), or vectors (n, v)."""

    pieces: np.ndarray
    starts: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pieces if self.starts is None else self.starts)

    def take(self, rows: np.ndarray, keep: np.random.Generator | None = None) -> Captions:
        """The captions at these positions; with `keep` some pieces of each are left out, never the first."""
        if self.starts is None:
            return Captions(self.pieces[rows])
        counts = np.diff(np.append(self.starts, len(self.pieces)))[rows]
        starts = np.cumsum(counts) - counts
        inside = np.arange(counts.sum()) - np.repeat(starts, counts)
        pieces = self.pieces[np.repeat(self.starts[rows], counts) + inside]
        if keep is not None:
            kept = (keep.random(len(pieces)) >= _FORGET) | (inside == 0)
            starts = (np.cumsum(kept) - kept)[starts]
            pieces = pieces[kept]
        return Captions(pieces, starts)

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """What the text network is called with."""
        import torch

        arrays = (self.pieces,) if self.starts is None else (self.pieces, self.starts)
        return tuple(torch.from_numpy(array) for array in arrays)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: see the options of `MotionEvaluator`."""

    steps: int
    batch: int
    learning_rate: float
    check_every: int
    patience: int


def train(
    motion: nn.Module,
    caption: nn.Module,
    training: tuple[Sequences, Captions, np.ndarray],
    stopping: tuple[Sequences, Captions, np.ndarray],
    schedule: Schedule,
    key: Key,
) -> int:
    """Train both networks in place and return the steps of the weights that were best on the `stopping` rows.

    Args:
        motion, caption: the networks.
        training, stopping: motions, captions and their meanings (n,).
        schedule: at most `steps` steps; stops after `patience` checks without an improvement.
        key: draws batches and their changes.

    Raises:
        PartError: the loss became NaN or infinite.
    """
    import torch

    motions, captions, meaning = training
    sharpness = torch.tensor(float(np.log(_SHARPNESS)), requires_grad=True)
    weights = [*motion.parameters(), *caption.parameters(), sharpness]
    optimiser = torch.optim.AdamW(weights, lr=schedule.learning_rate, weight_decay=0.02)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, schedule.learning_rate, total_steps=schedule.steps + 1, cycle_momentum=False
    )
    best, best_step, kept = float("inf"), 0, (motion.state_dict(), caption.state_dict())
    for step in range(1, schedule.steps + 1):
        rng = key.child("step", step).rng()
        rows = rng.choice(len(meaning), min(schedule.batch, len(meaning)), replace=False)
        x, lengths = _changed(motions.take(rows), rng)
        m = motion(x, torch.from_numpy(lengths))
        loss = _loss(m, caption(*captions.take(rows, keep=rng).tensors()), meaning[rows], sharpness)
        if not torch.isfinite(loss):
            raise PartError("motion evaluator: the training diverged; lower learning_rate")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        cycle.step()
        if step % schedule.check_every == 0 or step == schedule.steps:
            found = _stopping_error(motion, caption, stopping, sharpness)
            if found < best:
                best, best_step = found, step
                kept = copy.deepcopy((motion.state_dict(), caption.state_dict()))
            elif step - best_step >= schedule.patience * schedule.check_every:
                break
    motion.load_state_dict(kept[0])
    caption.load_state_dict(kept[1])
    return best_step


def embed_motions(motion: nn.Module, motions: Sequences) -> np.ndarray:
    """Embeddings of sequences, float64 (n, d)."""
    import torch

    parts = []
    with torch.inference_mode():
        for start in range(0, len(motions.lengths), _CHUNK):
            part = motions.take(np.arange(start, min(start + _CHUNK, len(motions.lengths))))
            parts.append(motion(part.tensor(), torch.from_numpy(part.lengths)).numpy())
    return np.concatenate(parts).astype(np.float64)


def embed_captions(caption: nn.Module, captions: Captions) -> np.ndarray:
    """Embeddings of captions, float64 (n, d)."""
    import torch

    with torch.inference_mode():
        return caption(*captions.tensors()).numpy().astype(np.float64)


def _changed(motions: Sequences, rng: np.random.Generator) -> tuple[torch.Tensor, np.ndarray]:
    """A random stretch of every motion, with noise; standardised (n, channels, frames), and its lengths."""
    import torch

    full = motions.lengths
    lengths = np.maximum(1, np.ceil(full * rng.uniform(_SHORTEST, 1.0, len(full)))).astype(np.int64)
    first = np.floor(rng.random(len(full)) * (full - lengths + 1)).astype(np.int64)
    frames = np.minimum(first[:, None] + np.arange(lengths.max()), motions.x.shape[1] - 1)
    part = Sequences(motions.x[np.arange(len(full))[:, None], frames], lengths, motions.mean, motions.scale)
    x = part.tensor()
    inside = torch.from_numpy(np.arange(x.shape[2]) < lengths[:, None])[:, None]
    noise = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32))
    return x + _NOISE * noise * inside, lengths


def _loss(m: torch.Tensor, c: torch.Tensor, meaning: np.ndarray, sharpness: torch.Tensor) -> torch.Tensor:
    import torch
    from torch.nn.functional import cross_entropy

    squared = m.square().sum(1)[:, None] + c.square().sum(1)[None] - 2.0 * m @ c.T
    logits = -sharpness.exp() * squared
    same = torch.from_numpy((meaning[:, None] == meaning[None, :]).astype(np.float32))
    target = same / same.sum(dim=1, keepdim=True)
    return 0.5 * (cross_entropy(logits, target) + cross_entropy(logits.T, target))


def _stopping_error(
    motion: nn.Module, caption: nn.Module, rows: tuple[Sequences, Captions, np.ndarray], sharpness: torch.Tensor
) -> float:
    """Share of captions that do not find their motion (mean of R-precision 1 to 3), and a little of the loss.

    The loss alone rises as soon as the networks are too sure of a few rows, long before they find fewer.
    """
    import torch

    m, c = embed_motions(motion, rows[0]), embed_captions(caption, rows[1])
    batches = batches_of(len(m), min(_RETRIEVAL_BATCH, len(m)), _RETRIEVALS, np.random.default_rng(0))
    hits, _ = retrieval_hits(text=c, motion=m, meaning=rows[2], batches=batches)
    loss = _loss(torch.from_numpy(m).float(), torch.from_numpy(c).float(), rows[2], sharpness.detach())
    return 1.0 - float(hits.mean()) + _LOSS_SHARE * float(loss)
