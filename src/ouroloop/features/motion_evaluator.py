"""Features of a motion and text evaluator that the software trains on the real captioned motions.

Two small networks put motions and captions into one space, such that a motion is near its caption. Distances of
motions there are what `fid`, `kid`, `prdc` and `diversity` measure; distances of motions to captions are matching
score and R-precision. It stands in for the evaluator of Guo et al. (CVPR 2022), whose weights and licence bind it
to one data set; numbers of the two cannot be compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ouroloop.arrays import load_arrays, save_arrays
from ouroloop.errors import DataError, PartError
from ouroloop.features.cache import Entry, cached, content_digest
from ouroloop.features.motion_columns import captions_of, inferred_lengths, motion_lengths
from ouroloop.features.motion_networks import caption_network, motion_network
from ouroloop.features.motion_sentences import sentence_vectors
from ouroloop.features.motion_text import Vocabulary, meanings
from ouroloop.features.motion_training import Captions, Schedule, Sequences, embed_captions, embed_motions, train
from ouroloop.features.retrieval import batches_of, retrieval_hits
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["MotionEvaluator"]

_VERSION = 1  # raise when a change of these files changes the weights that a fit gives
_FEWEST = 20  # rows that can be trained on
_BATCH = 32  # of R-precision
_WORDS = "words"
_OPTIONS = ("width", "embedding", "steps", "batch", "learning_rate", "held_out_share", "buckets", "text_encoder")


@dataclass(frozen=True)
class _Fitted:
    """The networks of a fitted evaluator, and what they were made from (see `_train`)."""

    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]
    motion: Any
    caption: Any
    vocabulary: Vocabulary


@dataclass(frozen=True, kw_only=True)
class MotionEvaluator:
    """Embeddings of motions and of captions by networks trained on the real captioned motions.

    The training is a function of (data, options) alone, not of the run's seed, so that all seeds and arms of a
    study share one evaluator; it is cached by the content of the data. It stops early on rows of the training
    data that it does not learn from. Embeddings are scaled such that a feature of the real training motions has
    variance 1 on average.

    Args:
        width: channels of both networks.
        embedding: number of features d.
        steps: most gradient steps.
        batch: rows a step.
        learning_rate: peak learning rate of AdamW (one cycle).
        held_out_share: share of the rows that stops the training and measures `accuracy`.
        buckets: rows of the table of word pieces.
        text_encoder: 'words' for the encoder trained here, else the name or folder of a sentence-transformers
            model, whose vectors then go into a trained layer.
        weights: file of an evaluator that `save` wrote: nothing is trained. Small subsets of a data set are so
            measured in the space of all of it.
    """

    width: Annotated[int, Field(ge=1, description="channels of both networks")] = 64
    embedding: Annotated[int, Field(ge=1, description="number of features")] = 64
    steps: Annotated[int, Field(ge=1, description="most gradient steps of the training")] = 400
    batch: Annotated[int, Field(ge=2, description="rows per gradient step")] = 64
    learning_rate: Annotated[float, Field(gt=0, description="peak learning rate of AdamW, one cycle")] = 2e-3
    held_out_share: Annotated[
        float, Field(gt=0, lt=1, description="share of rows that stops the training and measures accuracy")
    ] = 0.1
    buckets: Annotated[int, Field(ge=1, description="rows of the table of hashed word pieces")] = 1024
    text_encoder: Annotated[
        str, Field(min_length=1, description="'words' (trained here), or a sentence-transformers model or folder")
    ] = _WORDS
    weights: Annotated[
        Path | None, Field(description="file of an evaluator saved with save(); nothing is trained then")
    ] = None
    _fitted: _Fitted | None = field(init=False, default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Short name, for tables and axis labels."""
        return "motion"

    @property
    def dim(self) -> int:
        """Number of features of a fitted evaluator."""
        return int(self._ready.meta["embedding"])

    @property
    def accuracy(self) -> float:
        """R-precision 1 of a fitted evaluator on rows that it did not learn from, in batches of 32 (or all)."""
        return self.precision[0]

    @property
    def precision(self) -> tuple[float, float, float]:
        """R-precision 1, 2 and 3 on the rows of `accuracy`."""
        first, second, third = self._ready.meta["precision"]
        return first, second, third

    @property
    def n_held_out(self) -> int:
        """Number of rows that `accuracy` was measured on."""
        return int(self._ready.meta["n_held_out"])

    @property
    def _ready(self) -> _Fitted:
        if self._fitted is None:
            raise PartError("motion features: call fit first")
        return self._fitted

    def fit(self, samples: Samples, *, key: Key, cache: Path | None = None) -> MotionEvaluator:
        """Train on captioned motions, or take the training from the cache or from `weights`.

        Args:
            samples: rows with the columns 'x' (n, frames, channels), 'caption' and, where there is one, 'length'.
            key: not used (see the class).
            cache: folder to keep the weights in, or None.

        Raises:
            DataError: no captions, one caption only, too few rows, NaN or infinity, or lengths that do not fit x.
            StoreError: `weights` is not a file that `save` wrote.
        """
        if self.weights is not None:
            fitted = self._with(*load_arrays(Path(self.weights)))
            fitted.transform(samples.x[:1])  # says so now if the rows are of another kind
            return fitted
        lengths, captions = _check(samples)
        columns = {"x": samples.x, "length": lengths, "caption": captions}
        options = {name: getattr(self, name) for name in _OPTIONS}
        digest = content_digest(columns, {"version": _VERSION, "options": options})
        make = lambda: _train(self, samples.x, lengths, captions, digest)  # noqa: E731
        return self._with(*cached(cache, "motion", digest, make))

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Embeddings of motions x (n, frames, channels), float64 (n, d); a row ends at its last frame not all zero."""
        state = self._ready
        channels = len(state.arrays["mean"])
        if x.ndim != 3 or x.shape[2] != channels:
            raise DataError(f"motion features need x of shape (n, frames, {channels}), got {x.shape}")
        if not len(x):
            return np.empty((0, self.dim))
        motions = Sequences(x, inferred_lengths(x), state.arrays["mean"], state.arrays["scale"])
        return embed_motions(state.motion, motions) / state.meta["spread"]

    def embed_captions(self, captions: np.ndarray) -> np.ndarray:
        """Embeddings of captions (n,), float64 (n, d), in the space of `transform`."""
        state = self._ready
        different, rows = np.unique(np.asarray(captions, str), return_inverse=True)
        if not len(different):
            return np.empty((0, self.dim))
        taken = _captions(different.tolist(), state.meta["text_encoder"], state.vocabulary)
        return (embed_captions(state.caption, taken) / state.meta["spread"])[rows]

    def save(self, path: Path) -> None:
        """Write a fitted evaluator to a safetensors file, for the option `weights`."""
        save_arrays(path, self._ready.arrays, self._ready.meta)

    def _with(self, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> MotionEvaluator:
        try:
            vocabulary = Vocabulary(tuple(meta["words"]), meta["buckets"])
            nets = _networks(len(arrays["mean"]), meta["width"], meta["embedding"], vocabulary, meta["vectors"])
            for net, prefix in zip(nets, ("motion.", "caption."), strict=True):
                _load(net, arrays, prefix)
        except (KeyError, RuntimeError) as error:
            raise DataError(f"{self.weights}: not a motion evaluator that `save` wrote ({error})") from error
        fitted = replace(self)
        object.__setattr__(fitted, "_fitted", _Fitted(arrays, meta, *nets, vocabulary))
        return fitted


def _check(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Lengths and captions of the rows."""
    what = "motion features"
    captions, lengths = captions_of(samples, what), motion_lengths(samples, what)
    samples.check_finite(what)
    if len(samples) < _FEWEST:
        raise DataError(
            f"{what} need at least {_FEWEST} captioned motions, got {len(samples)}; give an evaluator that was trained "
            "on more with the option 'weights', or take the features 'pca'"
        )
    if len(np.unique(meanings(captions))) < 2:
        raise DataError(f"{what} need captions that differ, got {len(samples)} times '{captions[0]}'")
    return lengths, captions


def _train(part: MotionEvaluator, x: np.ndarray, lengths: np.ndarray, captions: np.ndarray, digest: str) -> Entry:
    """The trained weights, and the scale, vocabulary and accuracy that go with them."""
    key = Key(int(digest[:8], 16), ("features", "motion"))
    order = key.child("split").rng().permutation(len(x))
    count = max(4, round(part.held_out_share * len(x)))
    stopping, training = np.sort(order[:count]), np.sort(order[count:])
    mean, scale = _scale(x, lengths, training)
    vocabulary = Vocabulary.of(captions[training].tolist(), part.buckets)
    texts = _captions(captions.tolist(), part.text_encoder, vocabulary)
    vectors = texts.pieces.shape[1] if texts.starts is None else 0
    nets = _networks(len(mean), part.width, part.embedding, vocabulary, vectors, key.child("weights"))
    meaning, motions = meanings(captions), Sequences(x, lengths, mean, scale)
    tables = [(motions.take(rows), texts.take(rows), meaning[rows]) for rows in (training, stopping)]
    every = max(1, part.steps // 16)
    schedule = Schedule(part.steps, part.batch, part.learning_rate, every, 8)
    best = train(*nets, tables[0], tables[1], schedule, key.child("train"))
    spread = float(np.sqrt(embed_motions(nets[0], tables[0][0]).var(axis=0).mean())) or 1.0
    batches = batches_of(count, min(_BATCH, count), 20, key.child("batches").rng())
    own = embed_motions(nets[0], tables[1][0]), embed_captions(nets[1], tables[1][1])
    hits, _ = retrieval_hits(text=own[1], motion=own[0], meaning=meaning[stopping], batches=batches)
    arrays = {"mean": mean, "scale": scale}
    for net, prefix in zip(nets, ("motion.", "caption."), strict=True):
        arrays |= {prefix + name: value.numpy().copy() for name, value in net.state_dict().items()}
    meta = {
        **{name: getattr(part, name) for name in ("width", "embedding", "buckets", "text_encoder")},
        "words": list(vocabulary.words),
        "vectors": vectors,
        "spread": spread,
        "steps": best,
        "precision": [float(value) for value in hits.mean(axis=(0, 1))],
        "n_held_out": count,
    }
    return arrays, meta


def _captions(captions: list[str], encoder: str, vocabulary: Vocabulary) -> Captions:
    if encoder != _WORDS:
        return Captions(sentence_vectors(encoder, captions))
    return Captions(*vocabulary.encode(captions))


def _scale(x: np.ndarray, lengths: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every channel over the frames of these rows, float32; 1 where it is constant."""
    inside = np.arange(x.shape[1]) < lengths[rows, None]
    frames = x[rows][inside].astype(np.float64)
    deviation = frames.std(axis=0)
    constant = deviation <= 1e-6 * max(float(deviation.max()), 1e-30)
    return frames.mean(axis=0).astype(np.float32), np.where(constant, 1.0, deviation).astype(np.float32)


def _networks(
    channels: int, width: int, embedding: int, vocabulary: Vocabulary, vectors: int, key: Key | None = None
) -> tuple[Any, Any]:
    keys = (None, None) if key is None else (key.child("motion"), key.child("caption"))
    motion = motion_network(channels, width, embedding, key=keys[0])
    return motion, caption_network(vocabulary.size, width, embedding, vectors=vectors, key=keys[1])


def _load(net: Any, arrays: dict[str, np.ndarray], prefix: str) -> None:
    import torch

    own = {name: value for name, value in arrays.items() if name.startswith(prefix)}
    net.load_state_dict({name.removeprefix(prefix): torch.from_numpy(value.copy()) for name, value in own.items()})
