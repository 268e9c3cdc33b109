"""Captions through a pretrained sentence encoder, for those who have the package sentence-transformers."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from ouroloop.errors import PartError

__all__ = ["sentence_vectors"]


def sentence_vectors(model: str, captions: list[str]) -> np.ndarray:
    """The encoder's vectors of captions, float32 (n, v).

    Args:
        model: a model's name or folder, as `sentence_transformers.SentenceTransformer` takes it.
        captions: texts; each is encoded as it is.

    Raises:
        PartError: the package is missing, the model cannot be loaded, or it gives no finite vectors.
    """
    try:
        package: Any = importlib.import_module("sentence_transformers")
    except ImportError as error:
        raise PartError(
            f"text_encoder '{model}' needs the package sentence-transformers: pip install sentence-transformers, "
            "or leave text_encoder at 'words'"
        ) from error
    try:
        encoder = package.SentenceTransformer(model)
    except Exception as error:  # whatever the package raises: no such model, no network, damaged files
        raise PartError(f"text_encoder '{model}' could not be loaded: {error}") from error
    vectors = np.asarray(encoder.encode(captions, show_progress_bar=False), np.float32)
    if vectors.ndim != 2 or len(vectors) != len(captions) or not np.isfinite(vectors).all():
        raise PartError(f"text_encoder '{model}' gave vectors of shape {vectors.shape} for {len(captions)} captions")
    return vectors
