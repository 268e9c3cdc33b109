"""Killed processes and full disks: nothing committed is lost, and what is resumed ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import itertools
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest

from ouroloop import atomic
from ouroloop.errors import OuroloopError, StoreError
from ouroloop.samples import Samples
from ouroloop.store import RunStore

WORKER = Path(__file__).with_name("crash_worker.py")


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("crash_worker", WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


worker = load()


def kill(times: int, timeout: float, *options: str) -> str:
    command = [sys.executable, str(WORKER), "--kills", str(times), "--seed", "1", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_twenty_kills() -> None:
    assert "'kills': 20," in kill(20, 300, "--quick")


@pytest.mark.slow
def test_two_hundred_kills() -> None:
    assert "'kills': 200," in kill(200, 1800)


@pytest.fixture
def hooked() -> Iterator[Callable[[Callable[[str], None]], None]]:
    original = atomic.crash_point
    yield worker.hook
    worker.hook(original)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], list[str]]:
    """What the scenario ends with, and the write points that it passes."""
    original, points = atomic.crash_point, []
    worker.hook(points.append)
    try:
        root = tmp_path_factory.mktemp("whole")
        worker.scenario(root)
    finally:
        worker.hook(original)
    return worker.tree(root), points


def test_a_full_disk_at_every_write_point(
    tmp_path: Path,
    uninterrupted: tuple[dict[str, str], list[str]],
    hooked: Callable[[Callable[[str], None]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first time that each write point is passed, and a second time, the disk is full there."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    expected, points = uninterrupted
    names = sorted(set(points))
    assert len(names) > 40
    failed: dict[str, int] = dict.fromkeys(names, 0)

    def fill(name: str) -> None:
        if failed[name] < 2:
            failed[name] += 1
            raise OSError(errno.ENOSPC, "No space left on device")

    hooked(fill)
    errors = []
    for _ in range(3 * len(names)):
        try:
            worker.scenario(tmp_path)
            break
        except StoreError as error:
            errors.append(str(error))
            worker.sound(tmp_path)
    assert failed == dict.fromkeys(names, 2)
    assert len(errors) >= len(names)
    assert all("no space left on device" in error and str(tmp_path) in error for error in errors), errors
    hooked(lambda name: None)
    worker.scenario(tmp_path)
    assert worker.tree(tmp_path) == expected


def summary() -> pa.Table:
    numbers = {name: np.zeros(2) for name in ("value", "low", "high", "floor", "forecast")}
    return pa.table(
        {"arm": ["", ""], "seed": [0, 0], "generation": [0, 1], "metric": ["a", "a"], **numbers, "n": [1, 1]}
    )


ACTIONS: dict[str, tuple[int, Callable[[RunStore], object]]] = {
    "commit": (2, lambda store: worker.step(store, 2)),
    "prune": (3, lambda store: store.prune(keep_last=1, keep_synthetic=False)),
    "spec": (1, lambda store: store.write_spec({"generations": 9})),
    "forecasts": (1, lambda store: store.write_forecasts([])),
    "event": (1, lambda store: store.append_event("start")),
    "fork": (2, lambda store: store.fork(store.path / "fork", at=1, spec={}, fingerprint={}, environment={})),
    "summary": (0, lambda store: store.write_summary(summary())),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_fails_at_each_of_its_write_points(
    tmp_path: Path, action: str, hooked: Callable[[Callable[[str], None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at the first write point, at the second, ...: the run is sound, and the action can be repeated."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    generations, act = ACTIONS[action]
    origin = RunStore.create(tmp_path / "origin", spec={"generations": 3}, fingerprint={}, environment={})
    for t in range(generations):
        worker.step(origin, t)
    for allowed in itertools.count():
        shutil.copytree(origin.path, tmp_path / "run")
        passed: list[str] = []

        def fill(name: str, passed: list[str] = passed, allowed: int = allowed) -> None:
            passed.append(name)
            if len(passed) == allowed + 1:
                raise OSError(errno.ENOSPC, "No space left on device")

        store = RunStore.open(tmp_path / "run")
        hooked(fill)
        try:
            act(store)
        except StoreError as error:
            failure = error
        else:
            failure = None
        hooked(lambda name: None)
        if failure is None and len(passed) == allowed:
            assert allowed > 1
            break
        store = RunStore.open(store.path)
        assert store.verify() == []
        if failure is None:  # opening the fork does without metrics.parquet
            assert (action, passed[allowed].split()[-1]) == ("fork", "metrics.parquet")
        elif passed[-1] not in ("published", "replaced run.json", "replaced metrics.parquet"):  # else it is done
            act(store)
            assert store.verify() == []
        shutil.rmtree(store.path)


BIG = 4_000  # rows of 53 bytes


def write_big(store: RunStore, t: int) -> None:
    with store.begin(t) as writer:
        table = writer.table("synthetic")
        for _ in range(10):
            table.write(Samples.of(np.zeros((BIG, 4))))
        table.close()
        writer.commit(state={}, metrics=[])


def small_run(path: Path) -> RunStore:
    store = RunStore.create(path, spec={}, fingerprint={}, environment={})
    with store.begin(0) as writer:
        writer.commit(state={}, metrics=[])
    return store


def refused_and_resumed(store: RunStore, space: contextlib.AbstractContextManager[None], reason: str) -> None:
    with space, pytest.raises(StoreError, match=rf"synthetic\.arrow: cannot write: {reason}.*resume"):
        write_big(store, 1)
    assert [p.name for p in (store.path / "generations").iterdir()] == ["0000"]
    assert store.verify() == []
    write_big(RunStore.open(store.path), 1)
    assert RunStore.open(store.path).verify() == []
    assert len(store.synthetic(1)) == 10 * BIG


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    refused_and_resumed(small_run(tmp_path / "run"), file_size_limit(100_000), "file too large")


@pytest.mark.parametrize("size", range(0, 6000, 900))
def test_a_file_size_limit_anywhere(tmp_path: Path, size: int) -> None:
    store = RunStore.create(tmp_path / "run", spec={}, fingerprint={}, environment={})
    worker.step(store, 0)
    with file_size_limit(size), contextlib.suppress(OuroloopError, OSError):  # np.save raises the latter
        worker.step(store, 1)
    worker.step(RunStore.open(store.path), len(store.generations()))
    assert RunStore.open(store.path).verify() == []


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[None]:
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk can be mounted by root alone")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@contextlib.contextmanager
def ballast(path: Path, size: int) -> Iterator[None]:
    path.write_bytes(bytes(size))
    try:
        yield
    finally:
        path.unlink()


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        store = small_run(tmp_path / "disk" / "run")
        refused_and_resumed(store, ballast(tmp_path / "disk" / "ballast", 2 << 20), "no space left on device")


def test_a_run_on_a_disk_without_any_space(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk"):
        disk = tmp_path / "disk"
        with ballast(disk / "ballast", 0), open(disk / "ballast", "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass
            with pytest.raises(StoreError, match="no space left"):
                small_run(disk / "run")
        assert small_run(disk / "run").verify() == []


def test_a_read_only_run_can_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    store = small_run(tmp_path / "run")
    (store.path / "metrics.parquet").unlink()
    os.chmod(store.path, 0o555)
    try:
        again = RunStore.open(store.path)
        assert again.generations() == [0]
        with pytest.raises(StoreError, match="cannot"):
            again.begin(1)
    finally:
        os.chmod(store.path, 0o755)
