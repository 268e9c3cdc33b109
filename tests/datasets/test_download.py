from __future__ import annotations

import functools
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from ouroloop import progress
from ouroloop.datasets import download
from ouroloop.datasets.download import RemoteFile, checksum
from ouroloop.errors import DataError

BODY = bytes(range(256)) * 2000
FILE = RemoteFile("file.gz", len(BODY), hashlib.sha256(BODY).hexdigest())
fetch = functools.partial(download.fetch, pause_s=0.0, timeout_s=5.0)


@pytest.fixture
def good(site: Any) -> Any:
    site.files["file.gz"] = BODY
    return site


def test_a_whole_transfer(good, tmp_path):
    heard: list[tuple[str, int, int]] = []
    with progress.listening(lambda *args: heard.append(args)):
        path = fetch(FILE, tmp_path / "new" / "folder", [good.url])
    assert path == tmp_path / "new" / "folder" / "file.gz"
    assert path.read_bytes() == BODY
    assert not path.with_name("file.gz.part").exists()
    assert heard[-1] == ("download file.gz", len(BODY), len(BODY))
    assert [done for _, done, _ in heard] == sorted({done for _, done, _ in heard})
    assert good.requests == [("/data/file.gz", None)]


def test_a_sound_file_is_not_fetched_again_and_a_damaged_one_is(good, tmp_path):
    path = fetch(FILE, tmp_path, [good.url])
    assert fetch(FILE, tmp_path, [good.url]) == path
    assert len(good.requests) == 1
    path.write_bytes(BODY[:-1] + b"\xff\x00")
    fetch(FILE, tmp_path, [good.url])
    assert path.read_bytes() == BODY


@pytest.mark.parametrize("announced", [True, False])
def test_an_interrupted_transfer_goes_on_where_it_was_cut(good, tmp_path, announced):
    good.cut = [100_000, 50_000]
    if not announced:
        good.length = lambda n: None
    assert fetch(FILE, tmp_path, [good.url]).read_bytes() == BODY
    assert [wanted for _, wanted in good.requests] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_call_goes_on_with_what_an_earlier_one_left(good, tmp_path):
    good.cut = [1000, 1000]
    with pytest.raises(DataError, match=r"cut off after 2,000 of 512,000 bytes \(2 attempts\)"):
        fetch(FILE, tmp_path, [good.url], attempts=2)
    assert not (tmp_path / "file.gz").exists()
    assert (tmp_path / "file.gz.part").read_bytes() == BODY[:2000]
    assert fetch(FILE, tmp_path, [good.url]).read_bytes() == BODY
    assert good.requests[-1][1] == "bytes=2000-"


def test_a_server_without_ranges_starts_over(good, tmp_path):
    good.cut, good.ranges = [100_000], False
    assert fetch(FILE, tmp_path, [good.url]).read_bytes() == BODY
    assert good.requests[-1][1] == "bytes=100000-"


def test_a_mirror_that_answers_another_range_is_left(good, tmp_path):
    (tmp_path / "file.gz.part").write_bytes(BODY[:1000])
    good.shift = 5
    with pytest.raises(DataError, match=r"answers with range 'bytes 1005-.*asked for 1000-"):
        fetch(FILE, tmp_path, [good.url])


@pytest.mark.parametrize("part", [BODY + b"more", b"\x00" * len(BODY), b"\x01" * 777], ids=["long", "full", "short"])
def test_a_spoilt_part_file_is_thrown_away(good, tmp_path, part):
    (tmp_path / "file.gz.part").write_bytes(part)
    assert fetch(FILE, tmp_path, [good.url]).read_bytes() == BODY


def test_a_wrong_checksum_is_refused_and_leaves_nothing(good, tmp_path):
    good.files["file.gz"] = BODY[:-1] + b"\x00"
    with pytest.raises(DataError, match=r"wrong checksum: SHA-256 .*expected .*\(3 attempts\)"):
        fetch(FILE, tmp_path, [good.url])
    assert not (tmp_path / "file.gz").exists()
    assert not (tmp_path / "file.gz.part").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": lambda n: n + 1}, "announces 512001 bytes, expected 512000"),
        ({"length": lambda n: n - 1}, "announces 511999 bytes, expected 512000"),
        ({"length": lambda n: None, "extra": b"xx"}, "sends more than the expected 512,000 bytes"),
    ],
)
def test_a_file_of_another_length_is_refused(good, tmp_path, change, message):
    for name, value in change.items():
        setattr(good, name, value)
    with pytest.raises(DataError, match=message):
        fetch(FILE, tmp_path, [good.url])
    assert not (tmp_path / "file.gz").exists()


@pytest.mark.parametrize("status", [[404], [403], [503, 503, 503]])
def test_the_next_mirror_serves_when_one_cannot(good, tmp_path, status):
    good.status = list(status)
    with pytest.raises(DataError, match=f"HTTP {status[0]} "):
        fetch(FILE, tmp_path, [good.url])
    good.status = list(status)
    assert fetch(FILE, tmp_path, [good.url, good.url]).read_bytes() == BODY


def test_a_passing_overload_is_waited_out(good, tmp_path):
    good.status = [503, 429]
    assert fetch(FILE, tmp_path, [good.url]).read_bytes() == BODY


def test_all_reasons_are_listed(site, tmp_path):
    with pytest.raises(DataError) as raised:
        fetch(FILE, tmp_path, [site.url, "http://127.0.0.1:9/none", "ftp://somewhere", "file:///etc"])
    text = str(raised.value)
    assert "could not download file.gz (512,000 bytes)" in text
    assert f"{site.url}/file.gz: HTTP 404" in text
    assert "http://127.0.0.1:9/none/file.gz: [Errno 111]" in text
    assert text.count("not an http(s) address") == 2


def test_a_host_that_does_not_exist_is_asked_once(tmp_path, monkeypatch):
    import socket

    asked = []

    def lookup(*args: Any, **kwargs: Any) -> Any:
        asked.append(args[0])
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(DataError, match="Name or service not known"):
        fetch(FILE, tmp_path, ["http://no.such.host.invalid"])
    assert asked == ["no.such.host.invalid"]


def test_two_callers_fetch_once(good, tmp_path):
    results: list[Path] = []
    threads = [threading.Thread(target=lambda: results.append(fetch(FILE, tmp_path, [good.url]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(good.requests) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(good, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match=r"cannot write file\.gz"):
        fetch(FILE, tmp_path, [good.url])


def test_a_file_in_the_way_of_the_folder(good, tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(DataError, match=r"cannot write file\.gz"):
        fetch(FILE, tmp_path / "folder", [good.url])


def test_checksum(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert checksum(tmp_path / "f") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
