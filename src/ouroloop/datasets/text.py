"""Text as rows of token ids: a file of yours, or the help texts that come with Python."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ouroloop.datasets.loaded import LoadedDataset
from ouroloop.datasets.split import reserve_rows
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["UNKNOWN", "LoadedText", "Text", "bundled_text", "read_text", "tokenise"]

UNKNOWN = 0
"""The id of every token that has none of its own."""

Unit = Literal["characters", "words"]
_WORDS = re.compile(r"<unk>|\n|[^\W_]+(?:['’][^\W_]+)*|[^\w\s]|_")
_NO_ID = "<unk>"  # how WikiText marks words that were taken out: it shares the id of ours


@dataclass(frozen=True, eq=False, kw_only=True)
class LoadedText(LoadedDataset):
    """A text in memory.

    Args:
        vocabulary: the token of every id; entry `UNKNOWN` stands for all others.
        separator: what goes between two tokens when they are put together.
    """

    vocabulary: tuple[str, ...]
    separator: str = ""

    def decode(self, x: np.ndarray) -> list[str]:
        """Rows of ids (n, window) as n texts."""
        words = np.asarray(self.vocabulary)
        return [self.separator.join(words[row]) for row in np.asarray(x)]


@dataclass(frozen=True, kw_only=True)
class Text:
    """Windows of a text: ``x`` is int32 (n, window), ids of its tokens in order.

    The last part of the text is held out, the same for every seed; the seed chooses which windows of the rest are
    trained on, and the others are a reserve of fresh real rows. Windows do not overlap. Ids are by frequency in the
    part that is not held out; 0 is the token that stands for all that have no id.

    The default text is that of Python's built-in help (`pydoc_data.topics`, 0.4 to 0.8 million characters, PSF
    licence): it needs no download, and differs between versions of Python.
    """

    path: Annotated[
        str | None, Field(description="a .txt or .txt.gz file in UTF-8; None: the help texts that come with Python")
    ] = None
    held_out_path: Annotated[str | None, Field(description="a file to hold out, instead of the end of `path`")] = None
    unit: Annotated[Unit, Field(description="what a token is: a character, or a word, sign or end of line")] = (
        "characters"
    )
    vocabulary: Annotated[int, Field(ge=2, description="most tokens with an id of their own, and one for the rest")] = (
        128
    )
    window: Annotated[int, Field(ge=2, description="tokens in a row")] = 64
    n: Annotated[int | None, Field(ge=2, description="windows to train on; None: all that are not held out")] = 2000
    held_out: Annotated[int, Field(ge=1, description="most windows to hold out, evenly spaced")] = 1000
    held_out_share: Annotated[float, Field(gt=0, lt=1, description="part of the text to hold out, at its end")] = 0.1

    def load(self, *, key: Key, cache: Path | None = None) -> LoadedText:
        """The data set; `cache` is not used.

        Raises:
            DataError: a file is missing or no text, or the text is too short; with what to do.
        """
        name = "python-help" if self.path is None else Path(self.path).name.removesuffix(".gz").removesuffix(".txt")
        tokens = tokenise(bundled_text() if self.path is None else read_text(Path(self.path).expanduser()), self.unit)
        if self.held_out_path is None:
            cut = len(tokens) - int(len(tokens) * self.held_out_share)
            tokens, rest = tokens[:cut], tokens[cut:]
        else:
            rest = tokenise(read_text(Path(self.held_out_path).expanduser()), self.unit)
        known = [token for token, _ in Counter(tokens).most_common(self.vocabulary) if token != _NO_ID]
        known = known[: self.vocabulary - 1]
        ids = {token: index for index, token in enumerate(known, start=UNKNOWN + 1)}
        windows, others = (_windows(_encode(part, ids), self.window) for part in (tokens, rest))
        n = len(windows) if self.n is None else self.n
        if not 2 <= n <= len(windows) or not len(others):
            raise DataError(
                f"text '{name}': {len(windows)} windows of {self.window} {self.unit} to train on and {len(others)} to "
                f"hold out, but data.n asks for {self.n}; lower n or window, or give a longer text"
            )
        order = key.child("windows").rng().permutation(len(windows))
        chosen, kept = np.sort(order[:n]), order[n:]
        spaced = np.unique(np.linspace(0, len(others) - 1, min(self.held_out, len(others))).astype(np.int64))

        def fresh(count: int, key: Key) -> Samples:
            rows = kept[reserve_rows(len(kept), count, key=key, name=name)]
            return Samples.of(windows[rows], id=rows)

        return LoadedText(
            name=name,
            real=Samples.of(windows[chosen], id=chosen),
            held_out=Samples.of(others[spaced], id=len(windows) + spaced),
            fresh_fn=fresh if len(kept) else None,
            vocabulary=("\N{REPLACEMENT CHARACTER}" if self.unit == "characters" else _NO_ID, *known),
            separator="" if self.unit == "characters" else " ",
        )


def bundled_text() -> str:
    """The help texts of the running Python, one after the other.

    Raises:
        DataError: this Python comes without them.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError("this Python comes without its help texts (pydoc_data); give a text file as data.path") from (
            error
        )
    return "\n\n".join(topics[name] for name in sorted(topics))


def read_text(path: Path) -> str:
    """A text file, gzipped or not.

    Raises:
        DataError: there is no such file, or it is not UTF-8 (or gzip); with its path.
    """
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        return raw.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; give a text file as data.path, or leave it out") from error
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}); convert it first") from error


def tokenise(text: str, unit: Unit) -> Sequence[str]:
    """The tokens of a text in order.

    >>> tokenise("Don't <unk> me,\\nsir.", "words")
    ["Don't", '<unk>', 'me', ',', '\\n', 'sir', '.']
    """
    return text if unit == "characters" else _WORDS.findall(text)


def _encode(tokens: Sequence[str], ids: dict[str, int]) -> np.ndarray:
    """Ids of tokens, int32 (len(tokens),)."""
    return np.fromiter((ids.get(token, UNKNOWN) for token in tokens), np.int32, len(tokens))


def _windows(ids: np.ndarray, window: int) -> np.ndarray:
    return ids[: len(ids) - len(ids) % window].reshape(-1, window)
