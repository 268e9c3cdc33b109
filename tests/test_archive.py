from __future__ import annotations

import errno
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ouroloop.archive import export_run, import_run
from ouroloop.errors import StoreError
from ouroloop.samples import Samples
from ouroloop.store import RunStore


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    store = RunStore.create(tmp_path / "my run", spec={"a": 1}, fingerprint={"a": 1}, environment={}, arm="x")
    store.append_event("start")
    for t in range(3):
        with store.begin(t) as writer:
            table = writer.table("synthetic")
            table.write(Samples.of(np.full((5, 2), t, float)))
            table.close()
            (writer.model_dir / "weights.bin").write_bytes(bytes(100))
            writer.commit(state={}, metrics=[{"metric": "m", "value": t}])
    store.prune(keep_last=1, keep_synthetic=False)
    (store.path / "report.html").write_text("stays at home")
    return store


def test_a_run_travels_whole(run: RunStore, tmp_path: Path) -> None:
    export_run(run.path, tmp_path / "a.tar.gz")
    got = import_run(tmp_path / "a.tar.gz", tmp_path / "there" / "deep")
    assert got.path == tmp_path / "there" / "deep" / "my run"
    assert (got.generations(), got.spec, got.arm) == ([0, 1, 2], {"a": 1}, "x")
    assert got.metric_rows()[2]["value"] == 2.0
    assert got.events() == run.events()
    np.testing.assert_array_equal(got.synthetic(2).x, run.synthetic(2).x)
    assert not (got.path / "report.html").exists()
    assert {p.name for p in (tmp_path / "there" / "deep").iterdir()} == {"my run"}
    with got.begin(3) as writer:
        writer.commit(state={}, metrics=[])
    assert got.verify() == []


def test_a_run_without_generations(tmp_path: Path) -> None:
    RunStore.create(tmp_path / "run", spec={}, fingerprint={}, environment={})
    export_run(tmp_path / "run", tmp_path / "a.tar.gz")
    assert import_run(tmp_path / "a.tar.gz", tmp_path / "there").generations() == []


def test_names_that_are_taken(run: RunStore, tmp_path: Path) -> None:
    export_run(run.path, tmp_path / "a.tar.gz")
    with pytest.raises(StoreError, match="exists already"):
        export_run(run.path, tmp_path / "a.tar.gz")
    with pytest.raises(StoreError, match="my run: exists already"):
        import_run(tmp_path / "a.tar.gz", tmp_path)
    with pytest.raises(StoreError, match=r"ends with \.tar\.gz"):
        export_run(run.path, tmp_path / "a.zip")


def test_a_damaged_run_is_not_packed(run: RunStore, tmp_path: Path) -> None:
    (run.generation_dir(2) / "state.json").write_bytes(b"{}")
    with pytest.raises(StoreError, match=r"state\.json"):
        export_run(run.path, tmp_path / "a.tar.gz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my run"]


def test_a_full_disk_leaves_no_half_archive(run: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"a\.tar\.gz: cannot write: no space left"):
        export_run(run.path, tmp_path / "a.tar.gz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my run"]


def file(name: str, data: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    return member, data


def special(kind: bytes, name: str, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


HOSTILE = {
    "traversal": (file("run/../../escaped"), "no path below"),
    "absolute": (file("/escaped"), "no path below"),
    "top level": (file("escaped"), "no path below"),
    "backslash": (file("run\\..\\escaped"), "no path below"),
    "dot": (file("run/./escaped"), "no path below"),
    "hidden": (file("run/.tmp-x"), "is hidden"),
    "hidden run": (file(".run/x"), "is hidden"),
    "bad name": (file("CON/x"), "cannot be a name"),
    "symbolic link": (special(tarfile.SYMTYPE, "run/link", "/etc"), "a link, a device or a folder"),
    "hard link": (special(tarfile.LNKTYPE, "run/link", "run/run.json"), "a link, a device or a folder"),
    "device": (special(tarfile.CHRTYPE, "run/null"), "a link, a device or a folder"),
    "pipe": (special(tarfile.FIFOTYPE, "run/pipe"), "a link, a device or a folder"),
    "folder": (special(tarfile.DIRTYPE, "run/generations"), "a link, a device or a folder"),
    "twice": (file("run/first"), "cannot be unpacked"),
    "two runs": (file("other/run.json"), "more than one directory"),
    "no run": (file("run/run.json", b"{}"), r"run\.json"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives(tmp_path: Path, kind: str) -> None:
    (member, data), message = HOSTILE[kind]
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        if kind in ("twice", "two runs", "symbolic link", "hard link"):
            tar.addfile(file("run/first")[0], io.BytesIO(b"x"))
        tar.addfile(member, io.BytesIO(data))
    with pytest.raises(StoreError, match=message):
        import_run(path, tmp_path / "deep" / "there")
    assert {p.name for p in tmp_path.iterdir()} == {"a.tar.gz"}


def test_a_refused_archive_leaves_folders_that_were_there(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    with pytest.raises(StoreError, match="cannot be unpacked"):
        import_run(tmp_path / "absent.tar.gz", tmp_path / "deep" / "er" / "there")
    assert [p.name for p in tmp_path.rglob("*")] == ["deep"]


def test_folders_that_cannot_be_made_are_not_half_made(run: RunStore, tmp_path: Path) -> None:
    export_run(run.path, tmp_path / "a.tar.gz")
    with pytest.raises(StoreError, match="cannot create"):
        import_run(tmp_path / "a.tar.gz", tmp_path / "new" / ("x" * 300) / "there")
    assert not (tmp_path / "new").exists()


def test_an_archive_that_swells(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member, data = file("run/zeros", bytes(2_000_000))
        tar.addfile(member, io.BytesIO(data))
    assert path.stat().st_size < 10_000
    with pytest.raises(StoreError, match="larger than 1000000 bytes"):
        import_run(path, tmp_path / "there", limit_bytes=1_000_000)
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize(
    "damage",
    [lambda d: b"", lambda d: d[:-40], lambda d: d[: len(d) // 2], lambda d: b"PK\x03\x04" + d, lambda d: b"x"],
)
def test_damaged_archives(run: RunStore, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.tar.gz"
    export_run(run.path, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StoreError):
        import_run(path, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_run_changed_on_the_way(run: RunStore, tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for source in sorted(run.path.rglob("*")):
            name = source.relative_to(run.path)
            if source.is_file() and not source.name.startswith("."):
                data = b"[]" if str(name) == "generations/0001/metrics.json" else source.read_bytes()
                member, _ = file(f"run/{name}", data)
                tar.addfile(member, io.BytesIO(data))
    with pytest.raises(StoreError, match=r"0001/metrics\.json"):
        import_run(path, tmp_path / "there")
    with pytest.raises(StoreError, match="cannot be unpacked"):
        import_run(tmp_path / "absent.tar.gz", tmp_path / "there")
