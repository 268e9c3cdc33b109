from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from ouroloop.datasets import mnist
from ouroloop.datasets.download import RemoteFile
from ouroloop.datasets.mnist import FILES, Mnist
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.options import resolve_options
from ouroloop.protocols import Dataset

REAL = Path(__file__).parents[3] / "shared" / "data" / "mnist"
KEY = Key(0)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def small_files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    files = {}
    for stem, n in (("train", 60), ("t10k", 20)):
        files[f"{stem}-images"] = idx(rng.integers(0, 256, (n, 28, 28)))
        files[f"{stem}-labels"] = idx(np.arange(n) % 10)
    return files


STYLES = {
    "gz": lambda stem, kind, data: (f"{stem}-{kind}-ubyte.gz", gzip.compress(data)),
    "plain": lambda stem, kind, data: (f"{stem}-{kind}-ubyte", data),
    "dots": lambda stem, kind, data: (f"{stem}.{kind}-ubyte", data),
    "misnamed": lambda stem, kind, data: (f"{stem}-{kind}-ubyte", gzip.compress(data)),
}


def write(folder: Path, style: str = "plain", files: dict[str, bytes] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, data in (files or small_files()).items():
        name, content = STYLES[style](stem, "idx3" if stem.endswith("images") else "idx1", data)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path):
    """No test reads or writes the user's own folders, or the network."""
    monkeypatch.delenv("OUROLOOP_DATA", raising=False)
    monkeypatch.setenv("OUROLOOP_CACHE", str(tmp_path / "user-cache"))
    monkeypatch.setattr(mnist, "MIRRORS", ())


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("place", ["", "mnist", "MNIST/raw"])
def test_any_usual_name_and_place(tmp_path, style, place):
    write(tmp_path / place, style)
    data = Mnist(path=str(tmp_path), subset=50, held_out=20).load(key=KEY)
    assert isinstance(data, Dataset)
    assert data.held_out is not None
    assert data.real.x.shape == (50, 28, 28)
    assert data.real.x.dtype == np.float32
    assert data.real.label.tolist() == [i % 10 for i in range(50)]
    assert data.held_out.x.shape == (20, 28, 28)
    pixels = np.frombuffer(small_files()["train-images"][16:], np.uint8).reshape(60, 28, 28)
    np.testing.assert_array_equal(np.round(data.real.x * 255).astype(int), pixels[:50])
    assert data.name.startswith("idx files in ")


def test_the_reserve_is_the_rest_of_the_training_images(tmp_path):
    write(tmp_path)
    data = Mnist(path=str(tmp_path), subset=40, held_out=10).load(key=KEY)
    keys = [KEY.child("generation", t, "fresh") for t in (1, 2, 3)]
    rows = [data.fresh(10, key=key) for key in keys[:2]]
    ids = np.concatenate([r.id for r in rows])
    np.testing.assert_array_equal(np.sort(ids), np.arange(50, 70))
    np.testing.assert_array_equal(rows[0].label, (rows[0].id - 10) % 10)
    np.testing.assert_array_equal(data.fresh(10, key=keys[1]).x, rows[1].x)
    with pytest.raises(DataError, match="keeps 20 real rows in reserve"):
        data.fresh(10, key=keys[2])
    whole = Mnist(path=str(tmp_path), subset="all", held_out=10).load(key=KEY)
    assert (len(whole.real), whole.has_fresh) == (60, False)


def test_the_environment_names_a_folder(tmp_path, monkeypatch):
    write(tmp_path / "data" / "mnist", "gz")
    monkeypatch.setenv("OUROLOOP_DATA", str(tmp_path / "data"))
    assert len(Mnist(subset=60, held_out=0).load(key=KEY).real) == 60


def test_without_files_and_network_everything_needed_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("OUROLOOP_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/mnist",))
    monkeypatch.setattr("ouroloop.datasets.download.time.sleep", lambda seconds: None)
    with pytest.raises(DataError) as raised:
        Mnist().load(key=KEY, cache=tmp_path / "cache")
    text = str(raised.value)
    for file in FILES.values():
        assert file.name in text
    for word in (
        "127.0.0.1:9",
        str(tmp_path / "data"),
        str(tmp_path / "cache"),
        "data.path",
        "OUROLOOP_DATA",
        "digits",
    ):
        assert word in text


def test_a_path_without_the_files_is_not_replaced_by_a_download(tmp_path, site):
    write(tmp_path, files={k: v for k, v in small_files().items() if k != "t10k-labels"})
    with pytest.raises(DataError, match="not all in") as raised:
        Mnist(path=str(tmp_path), url=site.url).load(key=KEY)
    assert str(tmp_path) in str(raised.value)
    assert site.requests == []


def test_download_into_the_cache_once(tmp_path, site, monkeypatch):
    small = small_files()
    files = {}
    for stem, remote in FILES.items():
        body = gzip.compress(small[stem])
        site.files[remote.name] = body
        files[stem] = RemoteFile(remote.name, len(body), hashlib.sha256(body).hexdigest())
    monkeypatch.setattr(mnist, "FILES", files)
    site.cut = [1000]
    monkeypatch.setattr("ouroloop.datasets.download.time.sleep", lambda seconds: None)
    data = Mnist(subset=60, held_out=20, url=site.url).load(key=KEY, cache=tmp_path / "cache")
    assert len(data.real) == 60
    assert sorted(p.name for p in (tmp_path / "cache/datasets/mnist").glob("*.gz")) == sorted(site.files)
    requests = len(site.requests)
    assert requests == 5
    again = Mnist(subset=60, held_out=20, url=site.url).load(key=KEY, cache=tmp_path / "cache")
    np.testing.assert_array_equal(again.real.x, data.real.x)
    assert len(site.requests) == requests
    Mnist(subset=60, held_out=20, url=site.url).load(key=KEY)
    assert (tmp_path / "user-cache/datasets/mnist").is_dir()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train-labels": idx(np.arange(59) % 10)}, "60 images, but train-labels-idx1-ubyte has 59 labels"),
        ({"train-images": idx(np.arange(60))}, r"has 1 dimension\(s\), expected 3"),
        ({"t10k-images": idx(np.zeros((20, 28, 28)))[:-1]}, "ends early"),
    ],
)
def test_files_that_do_not_go_together(tmp_path, files, message):
    write(tmp_path, files={**small_files(), **files})
    with pytest.raises(DataError, match=message):
        Mnist(path=str(tmp_path), subset=10, held_out=5).load(key=KEY)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"subset": 61}, "mnist.subset: 61 images asked for, but the files hold 60"), ({"held_out": 21}, "held_out: 21")],
)
def test_more_than_there_is(tmp_path, options, message):
    write(tmp_path)
    with pytest.raises(DataError, match=message):
        Mnist(path=str(tmp_path), **{"subset": 10, "held_out": 5, **options}).load(key=KEY)


@pytest.mark.parametrize("options", [{"subset": 0}, {"subset": "some"}, {"held_out": -1}, {"root": "x"}])
def test_wrong_options_are_named(options):
    _, problems = resolve_options("datasets", {"kind": "mnist", **options}, ("data",))
    assert {path[:2] for path, _ in problems} == {("data", next(iter(options)))}


@pytest.mark.skipif(not REAL.is_dir(), reason="the MNIST files are not here")
class TestTheRealFiles:
    def test_checksums_are_the_published_ones(self):
        md5 = {
            "train-images": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels": "ec29112dd5afa0611ce80d1b7f02629c",
        }
        for stem, file in FILES.items():
            data = (REAL / file.name).read_bytes()
            assert hashlib.md5(data).hexdigest() == md5[stem]
            assert hashlib.sha256(data).hexdigest() == file.sha256
            assert len(data) == file.size

    def test_scsc_rows(self):
        data = Mnist(path=str(REAL)).load(key=KEY)
        assert data.held_out is not None
        assert data.name == "mnist"
        assert (len(data.real), len(data.held_out)) == (12_000, 10_000)
        assert data.real.label[:5].tolist() == [5, 0, 4, 1, 9]
        assert data.held_out.label[:5].tolist() == [7, 2, 1, 0, 4]
        assert 0.13 < float(data.real.x.mean()) < 0.132
        assert data.real.x.max() == 1
        assert len(data.fresh(48_000, key=KEY.child("generation", 1, "fresh"))) == 48_000
