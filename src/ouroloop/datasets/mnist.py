"""MNIST: 70,000 handwritten digits of 28x28 pixels, from files you have or from their canonical download."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ouroloop.datasets.download import RemoteFile, fetch
from ouroloop.datasets.idx import read_idx
from ouroloop.datasets.loaded import LoadedDataset
from ouroloop.datasets.split import reserve_rows
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.places import user_cache
from ouroloop.samples import Samples

__all__ = ["FILES", "MIRRORS", "Mnist"]

FILES = {
    "train-images": RemoteFile(
        "train-images-idx3-ubyte.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    "train-labels": RemoteFile(
        "train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    "t10k-images": RemoteFile(
        "t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    "t10k-labels": RemoteFile(
        "t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
}
"""The four published files. Their MD5 are the ones known from torchvision (f68b3c2d..., d53e105e..., ...)."""
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist",
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "http://yann.lecun.com/exdb/mnist",
)
_PLACES = ("", "mnist", "MNIST", "MNIST/raw", "raw")
# SHA-256 of the 60,000 training images' pixels: tells MNIST from look-alikes in the same format.
_TRAIN_PIXELS = "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"


@dataclass(frozen=True, kw_only=True)
class Mnist:
    """MNIST, or any data set in its four idx files (Fashion-MNIST, KMNIST, ...).

    ``x`` is float32 (n, 28, 28) in [0, 1], grey values divided by 255; ``label`` is int64 (n,). Training rows
    are the first `subset` of the 60,000 training images, as in SCSC's experiment (its first 20 %); held-out
    rows are the first `held_out` test images. The training images beyond `subset` are the reserve that
    `fresh` hands out. Nothing here is random: all runs, seeds and arms see the same rows.

    The files are looked for in `path` if given; else in ``$OUROLOOP_DATA`` and then in the cache, into
    which they are downloaded (11.6 MB) where missing.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
    recognition", Proc. IEEE 86, 1998.
    """

    path: Annotated[
        str | None, Field(description="folder with the four idx files, plain or .gz; None: look around, then download")
    ] = None
    subset: Annotated[
        Annotated[int, Field(ge=1)] | Literal["all"], Field(description="training images, from the first on; or 'all'")
    ] = 12_000
    held_out: Annotated[int, Field(ge=0, description="test images, from the first on, for metrics")] = 10_000
    url: Annotated[
        str | None, Field(description="http(s) address of a folder to download from instead of the public mirrors")
    ] = None

    def load(self, *, key: Key, cache: Path | None = None) -> LoadedDataset:
        """The data set.

        Args:
            key: not used; nothing here is random but `fresh`, which is given a key of its own.
            cache: folder to keep downloads in; None: the user's cache folder.

        Raises:
            DataError: the files are missing and cannot be downloaded, damaged, or smaller than asked for.
        """
        files = self._locate(cache or user_cache())
        images, labels = _pair(files["train-images"], files["train-labels"])
        test_images, test_labels = _pair(files["t10k-images"], files["t10k-labels"])
        name = "mnist" if _is_mnist(images) else f"idx files in {files['train-images'].parent.name}"
        n_real = len(images) if self.subset == "all" else self.subset
        for what, asked, there in (("subset", n_real, len(images)), ("held_out", self.held_out, len(test_images))):
            if asked > there:
                raise DataError(f"mnist.{what}: {asked:,} images asked for, but the files hold {there:,}")

        def fresh(n: int, key: Key) -> Samples:
            rows = n_real + np.sort(reserve_rows(len(images) - n_real, n, key=key, name=name))
            return _table(images[rows], labels[rows], rows + self.held_out)

        held_out = _table(test_images[: self.held_out], test_labels[: self.held_out], n_real + np.arange(self.held_out))
        return LoadedDataset(
            name=name,
            real=_table(images[:n_real], labels[:n_real], np.arange(n_real)),
            held_out=held_out if self.held_out else None,
            fresh_fn=fresh if n_real < len(images) else None,
        )

    def _locate(self, cache: Path) -> dict[str, Path]:
        """Where each of the four files is, downloading them into the cache where no place has them all."""
        folders = [Path(self.path).expanduser()] if self.path else []
        if not self.path:
            if named := os.environ.get("OUROLOOP_DATA"):
                folders.append(Path(named).expanduser())
            folders.append(cache / "datasets")
        places = [folder / place for folder in folders for place in _PLACES]
        for place in places:
            found = {stem: _file_of(place, stem) for stem in FILES}
            if all(found.values()):
                return {stem: path for stem, path in found.items() if path is not None}
        if self.path:
            raise DataError(_missing(f"the MNIST files are not all in {self.path}", folders))
        target = cache / "datasets" / "mnist"
        mirrors = (self.url,) if self.url else MIRRORS
        try:
            return {stem: fetch(file, target, mirrors) for stem, file in FILES.items()}
        except DataError as error:
            raise DataError(_missing(str(error), folders)) from error


def _missing(reason: str, folders: list[Path]) -> str:
    names = "\n".join(f"  {file.name}" for file in FILES.values())
    looked = "\n".join(f"  {folder} (and in {', '.join(p for p in _PLACES if p)} below it)" for folder in folders)
    return (
        f"{reason}\nMNIST needs these four files, plain or .gz:\n{names}\nlooked in:\n{looked}\n"
        "Put them into a folder and name it: data.path in a specification, Mnist(path=...) in Python, or the "
        "environment variable OUROLOOP_DATA. Without them, the bundled 'digits' data set works offline."
    )


def _file_of(folder: Path, stem: str) -> Path | None:
    """The file of a stem such as "train-images" in a folder, under any of its usual names."""
    kind = "idx3" if stem.endswith("images") else "idx1"
    for base in (f"{stem}-{kind}-ubyte", f"{stem}.{kind}-ubyte"):
        for name in (f"{base}.gz", base):
            if (folder / name).is_file():
                return folder / name
    return None


def _pair(images: Path, labels: Path) -> tuple[np.ndarray, np.ndarray]:
    x, y = read_idx(images, dimensions=3), read_idx(labels, dimensions=1)
    if x.dtype != np.uint8 or y.dtype != np.uint8:
        raise DataError(f"{images}: holds {x.dtype} images and {labels.name} {y.dtype} labels, expected uint8 for both")
    if len(x) != len(y):
        raise DataError(f"{images}: {len(x):,} images, but {labels.name} has {len(y):,} labels; they must go together")
    return x, y


def _table(x: np.ndarray, label: np.ndarray, ids: np.ndarray) -> Samples:
    return Samples.of(x.astype(np.float32) / np.float32(255), label=label.astype(np.int64), id=ids)


def _is_mnist(images: np.ndarray) -> bool:
    return images.shape == (60_000, 28, 28) and hashlib.sha256(images.tobytes()).hexdigest() == _TRAIN_PIXELS
