import os
import stat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.features.cache import cached, content_digest

ENTRY = ({"w": np.arange(4.0)}, {"accuracy": 0.5})


class Counter:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return ENTRY


def read(folder, make, digest="d" * 64):
    arrays, meta = cached(folder, "thing", digest, make)
    np.testing.assert_array_equal(arrays["w"], ENTRY[0]["w"])
    assert meta == ENTRY[1]


def test_made_once_and_read_afterwards(tmp_path):
    make = Counter()
    for _ in range(3):
        read(tmp_path, make)
    assert make.calls == 1
    read(tmp_path, make, "e" * 64)
    assert make.calls == 2
    assert sorted(p.name for p in (tmp_path / "features").iterdir()) == [
        f"thing-{'d' * 32}.safetensors",
        f"thing-{'e' * 32}.safetensors",
    ]


def test_without_a_folder_it_is_made_every_time():
    make = Counter()
    for _ in range(2):
        read(None, make)
    assert make.calls == 2


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:-9])


def damage_empty(path):
    path.write_bytes(b"")


def damage_value(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def damage_meta(path):
    path.write_bytes(path.read_bytes().replace(b"0.5", b"0.9"))


def damage_foreign(path):
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(2)}, str(path))


@pytest.mark.parametrize("damage", [damage_truncate, damage_empty, damage_value, damage_meta, damage_foreign])
def test_a_damaged_file_is_noticed_made_again_and_replaced(tmp_path, damage):
    make = Counter()
    read(tmp_path, make)
    (path,) = (tmp_path / "features").iterdir()
    damage(path)
    with pytest.warns(RuntimeWarning, match=f"feature cache: .*{path.name}"):
        read(tmp_path, make)
    read(tmp_path, make)
    assert make.calls == 2


def test_a_file_under_another_name_is_not_taken(tmp_path):
    make = Counter()
    read(tmp_path, make)
    (path,) = (tmp_path / "features").iterdir()
    path.rename(path.with_name(f"thing-{'e' * 32}.safetensors"))
    with pytest.warns(RuntimeWarning, match="made from other data"):
        read(tmp_path, make, "e" * 64)
    assert make.calls == 2


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.warns(RuntimeWarning, match="cannot write"):
        read(blocked, Counter())


def test_a_crash_while_making_leaves_nothing(tmp_path, monkeypatch):
    def crash(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path, Counter())
    assert list((tmp_path / "features").iterdir()) == []


def test_the_file_is_plain_data(tmp_path):
    read(tmp_path, Counter())
    (path,) = (tmp_path / "features").iterdir()
    assert stat.S_ISREG(path.stat().st_mode)
    assert b"sha256" in path.read_bytes()[:1000]


arrays = st.lists(st.integers(-5, 5), min_size=1, max_size=6).map(np.array)


@given(a=arrays, b=arrays)
def test_equal_digests_mean_equal_content(a, b):
    assert (content_digest({"x": a}) == content_digest({"x": b})) == (a.tolist() == b.tolist())


def test_the_digest_tells_types_shapes_names_and_options_apart():
    x = np.arange(6)
    tables = [{"x": x}, {"x": x.astype(np.int32)}, {"x": x.reshape(2, 3)}, {"x": x.reshape(3, 2)}, {"y": x}]
    digests = [content_digest(t) for t in tables] + [content_digest({"x": x}, {"a": 1}), content_digest({}, {"a": 1})]
    assert len(set(digests)) == len(digests)
    assert content_digest({"x": x[::2]}) == content_digest({"x": x[::2].copy()})
    assert content_digest({"x": np.array(1.0), "e": np.empty((0, 3))}) != content_digest({"x": np.array(2.0)})
