"""What an interrupted generation had drawn is not drawn again, and changes no number."""

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ouroloop import partial
from ouroloop.correction import Correction
from ouroloop.correctors.chain import Chain
from ouroloop.correctors.deduplicate import Deduplicate
from ouroloop.errors import PartError, StoreError
from ouroloop.ipc import write_columns
from ouroloop.loop import Loop
from ouroloop.partial import Partial
from ouroloop.samples import Samples, Verdict
from ouroloop.store import RunStore

REAL = np.random.default_rng(0).standard_normal((50, 2))
DRAWS: list[int] = []  # calls of sample, of all models


class Noise:
    """Draws shards of 10 rows; fails in the call that it is told to."""

    def __init__(self, fails_at=None, seed=0):
        self.seed, self._fails_at = seed, fails_at

    def fit(self, X):
        return self

    def sample(self, n):
        DRAWS.append(n)
        if len(DRAWS) == self._fails_at:
            raise PartError("the power went")
        return np.random.default_rng(self.seed).standard_normal((n, 2))


def clip(x):
    return np.clip(x, -1.0, 1.0)


def loop(out, *, fails_at=None, corrector=clip):
    fields = {"regime": "replace", "generations": 2, "shard_rows": 10, "evaluation": {"n": 20, "every": 2}}
    return Loop(Noise(fails_at), REAL, corrector=corrector, metrics=["moments"], out=out, **fields)


def contents(out):
    """What a run holds, but for clocks."""
    store = RunStore.open(out)
    rows = {t: store.synthetic(t) for t in (1, 2)}
    files = [out / "generations" / f"{t:04d}" / "corrections.parquet" for t in (1, 2)]
    tables = [{name: rows[t].column(name).tolist() for name in ("x", "id", "parent", "verdict")} for t in rows]
    return tables, [file.read_bytes() for file in files], repr(store.metric_rows())


def interrupted(tmp_path, **options):
    """A run that fails in the fourth shard of generation 1."""
    DRAWS.clear()
    with pytest.raises(PartError, match="the power went"):
        loop(tmp_path / "run", fails_at=6, **options).run()  # 2 shards were drawn for metrics in generation 0
    assert not (tmp_path / "run" / "generations" / "0001").exists()


@pytest.fixture(autouse=True)
def worth_it(monkeypatch):
    monkeypatch.setattr(partial, "WORTH", 0.0)


@pytest.mark.parametrize("damage", ["none", "truncated", "changed", "gone"])
def test_an_interrupted_generation_goes_on_with_the_shards_it_had(tmp_path, damage):
    loop(tmp_path / "whole").run()
    interrupted(tmp_path)
    kept = sorted((tmp_path / "run" / "partial" / "0001").iterdir())
    assert [path.name[:7] for path in kept] == ["000000-", "000001-", "000002-"]
    content = kept[1].read_bytes()
    if damage == "truncated":
        kept[1].write_bytes(content[:-20])
    elif damage == "changed":
        kept[1].write_bytes(content[:300] + bytes([content[300] ^ 1]) + content[301:])
    elif damage == "gone":
        kept[1].unlink()
    DRAWS.clear()
    loop(tmp_path / "run").run()
    again = 2 + (damage != "none")
    assert len(DRAWS) == again + 5 + 2  # the rest of generation 1, generation 2, its metrics
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert not (tmp_path / "run" / "partial").exists()
    assert RunStore.open(tmp_path / "run").verify() == []


@pytest.mark.parametrize("wrap", [False, True])
def test_a_corrector_that_remembers_is_shown_every_shard_again(tmp_path, wrap):
    corrector = Chain(parts=(Deduplicate(),)) if wrap else Deduplicate()
    loop(tmp_path / "whole", corrector=corrector).run()
    interrupted(tmp_path, corrector=corrector)
    assert not (tmp_path / "run" / "partial").exists()
    loop(tmp_path / "run", corrector=corrector).run()
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_what_is_quickly_drawn_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(partial, "WORTH", 1000.0)
    interrupted(tmp_path)
    assert not (tmp_path / "run" / "partial").exists()


def test_a_disk_that_refuses_costs_nothing_but_the_shards(tmp_path, monkeypatch):
    def full(path, columns):
        path.write_bytes(b"half")
        raise StoreError(f"{path}: cannot write: no space left on device")

    loop(tmp_path / "whole").run()
    monkeypatch.setattr(partial, "write_columns", full)
    loop(tmp_path / "run").run()
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert not (tmp_path / "run" / "partial").exists()


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from ouroloop import partial
partial.WORTH = 0.0
import test_partial as t
sample, t.Noise.__module__ = t.Noise.sample, "test_partial"
def killing(self, n):
    if len(t.DRAWS) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return sample(self, n)
t.Noise.sample = killing
t.loop(t.Path(sys.argv[1])).run()
"""


def test_after_a_kill(tmp_path):
    loop(tmp_path / "whole").run()
    arguments = [str(tmp_path / "run"), str(Path(__file__).parent)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list((tmp_path / "run" / "partial" / "0001").iterdir())) == 3
    DRAWS.clear()
    again = {"regime": "replace", "generations": 2, "shard_rows": 10, "evaluation": {"n": 20, "every": 2}}
    spec = importlib.util.spec_from_file_location("test_partial", __file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # its classes have the names that the killed process recorded
    Loop(module.Noise(), REAL, corrector=module.clip, metrics=["moments"], out=tmp_path / "run", **again).run()
    assert len(module.DRAWS) == 2 + 5 + 2
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_rows_come_back_as_they_were(tmp_path):
    rng = np.random.default_rng(1)
    raw = Samples.of(
        rng.standard_normal((7, 3, 2)).astype(np.float32), label=np.arange(7), caption=np.array(list("abcdefg")),
        flag=np.arange(7) % 2 == 0, origin=np.full(7, 4), id=np.arange(7) + 100, parent=np.full(7, -1),
    )  # fmt: skip
    verdict = np.array([0, 1, 2, 3, 0, 1, 2], np.int8)
    given = Correction(raw, raw.replace(x=raw.x + 1), verdict, rng.random(7))
    store = Partial(tmp_path, 4)
    store.write(2, given)
    found = Partial(tmp_path, 4).read(2)
    assert found is not None
    assert Partial(tmp_path, 4).read(1) is None
    for ours, theirs in ((found.raw, raw), (found.proposed, given.proposed)):
        for name, column in theirs.columns.items():
            np.testing.assert_array_equal(ours.columns[name], column)
            assert ours.columns[name].dtype.kind == column.dtype.kind
    np.testing.assert_array_equal(found.verdict, verdict)
    np.testing.assert_array_equal(found.distance, given.distance)
    assert found.counts() == given.counts()
    assert Verdict(int(found.verdict[3])) == Verdict.FAILED
    Partial(tmp_path, 5)  # another generation: what was kept of this one is of no use
    assert Partial(tmp_path, 4).read(2) is None


def test_a_kept_file_of_another_layout_is_drawn_again(tmp_path):
    rows, folder = Samples.of(np.zeros((3, 2))), tmp_path / "partial" / "0001"
    folder.mkdir(parents=True)
    for shard, columns in enumerate(
        [{"x": rows.x}, {"raw.x": rows.x, "proposed.x": rows.x}, {"verdict": np.zeros(3), "distance": np.zeros(3)}]
    ):
        write_columns(folder / "x", columns)
        (folder / "x").rename(folder / partial._name(shard, folder / "x"))  # with the right digest
        assert Partial(tmp_path, 1).read(shard) is None
    (folder / "y").write_bytes(b"no Arrow file")
    (folder / "y").rename(folder / partial._name(7, folder / "y"))
    assert Partial(tmp_path, 1).read(7) is None


def test_what_it_did_not_make_is_left_alone(tmp_path):
    (tmp_path / "run" / "partial" / "mine").mkdir(parents=True)
    kept = Partial(tmp_path / "run", 3)
    kept.write(0, Correction.unchanged(Samples.of(np.zeros((3, 2)))))
    assert kept.read(0) is not None
    kept.clear()
    assert [entry.name for entry in (tmp_path / "run" / "partial").iterdir()] == ["mine"]
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "0001").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "partial").symlink_to(elsewhere)
    led = Partial(tmp_path / "other", 3)
    led.write(0, Correction.unchanged(Samples.of(np.zeros((3, 2)))))
    led.clear()
    assert [entry.name for entry in elsewhere.iterdir()] == ["0001"]
    assert (tmp_path / "other" / "partial").is_symlink()
