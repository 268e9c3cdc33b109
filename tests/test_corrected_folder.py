"""A folder of corrected rows is whole or not there, and nothing of the user's is ever touched."""

import signal
import subprocess
import sys

import pytest

from ouroloop.corrected_folder import check_free, filling
from ouroloop.errors import DataError

KILLED = """
import os, signal, sys
from pathlib import Path
from ouroloop.corrected_folder import filling
with filling(Path(sys.argv[1])) as work:
    (work / "motions").mkdir()
    (work / "motions" / "a.bvh").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def stopped(out, error, *, keep=False):
    """Make a part of what is to be made, then fail."""
    with filling(out, keep=keep) as work:
        (work / "run").mkdir()
        raise error


def content(out):
    return sorted(entry.name for entry in out.iterdir())


@pytest.mark.parametrize("there", [False, True])
def test_a_finished_folder_holds_what_was_made(tmp_path, there):
    out = tmp_path / "deep" / "out"
    if there:
        out.mkdir(parents=True)
    with filling(out) as work:
        assert work.parent == out
        (work / "report.html").write_text("x")
        (work / "run").mkdir()
    assert content(out) == ["report.html", "run"]
    with pytest.raises(DataError, match="is not empty; choose another folder"):
        check_free(out)


def test_a_kill_leaves_nothing_in_the_way(tmp_path):
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", KILLED, str(out)])
    assert done.returncode == -signal.SIGKILL
    (left,) = content(out)
    assert left.startswith("unfinished-")
    with filling(out) as work:
        (work / "report.html").write_text("x")
    assert content(out) == ["report.html", left]
    assert (out / left / "motions" / "a.bvh").read_text() == "half"  # the user's to look at, or to remove


def test_what_is_not_free_is_refused_and_left_alone(tmp_path):
    (tmp_path / "motions").mkdir()
    (tmp_path / "unfinished.txt").write_text("my list")
    for out, match in ((tmp_path, "is not empty"), (tmp_path / "unfinished.txt", "is a file")):
        with pytest.raises(DataError, match=match):
            stopped(out, AssertionError("not reached"))
    assert content(tmp_path) == ["motions", "unfinished.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("there", [False, True])
def test_an_error_leaves_it_as_it_was_or_says_where_the_rest_is(tmp_path, error, there):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    with pytest.raises(error):
        stopped(out, error())
    assert content(out) == [] if there else not out.exists()
    with pytest.raises(error) as caught:
        stopped(out, error(), keep=True)
    (left,) = content(out)
    assert content(out / left) == ["run"]
    assert caught.value.__notes__ == [f"what was finished is in {out / left}"]
    check_free(out)


def test_the_second_of_two_at_once_is_refused_at_its_end(tmp_path):
    out = tmp_path / "out"

    def overtaken():
        with filling(out) as second:
            (second / "report.html").write_text("second")
            with filling(out) as first:
                (first / "report.html").write_text("first")

    with pytest.raises(DataError, match="is not empty"):
        overtaken()
    assert content(out) == ["report.html"]
    assert (out / "report.html").read_text() == "first"
