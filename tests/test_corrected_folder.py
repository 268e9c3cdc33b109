"""A folder of corrected rows is whole, or known for unfinished, or as it was."""

import os
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
out = Path(sys.argv[1])
with filling(out):
    (out / "motions").mkdir()
    (out / "motions" / "a.bvh").write_text("half")
    (out / "corrected.csv").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def stopped(out, error, *, keep=False):
    """Make a part of what is to be made, then fail."""
    with filling(out, keep=keep):
        (out / "run").mkdir()
        raise error


def content(out):
    return sorted(entry.name for entry in out.iterdir())


def test_a_finished_folder_has_no_mark(tmp_path):
    out = tmp_path / "deep" / "out"
    with filling(out):
        (out / "report.html").write_text("x")
    assert content(out) == ["report.html"]
    with pytest.raises(DataError, match="is not empty; choose another folder"):
        check_free(out)


def test_what_a_kill_left_is_cleared_by_the_next_attempt(tmp_path):
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", KILLED, str(out)])
    assert done.returncode == -signal.SIGKILL
    assert content(out) == ["UNFINISHED.txt", "corrected.csv", "motions"]
    assert "did not finish" in (out / "UNFINISHED.txt").read_text()
    with filling(out):
        assert content(out) == ["UNFINISHED.txt"]
        (out / "report.html").write_text("x")
    assert content(out) == ["report.html"]


def test_nothing_of_the_user_s_is_cleared(tmp_path):
    out = tmp_path / "out"
    subprocess.run([sys.executable, "-c", KILLED, str(out)])
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(DataError, match="is not empty"), filling(out):
        pass
    assert (out / "thesis.tex").read_text() == "mine"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "report.html").write_text("of something else")
    with pytest.raises(DataError, match="is not empty"):
        check_free(tmp_path / "other")
    with pytest.raises(DataError, match="is a file"):
        check_free(out / "thesis.tex")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("there", [False, True])
def test_an_error_leaves_it_as_it_was_or_what_is_worth_keeping(tmp_path, error, there):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    with pytest.raises(error):
        stopped(out, error)
    assert content(out) == [] if there else not out.exists()
    with pytest.raises(error):
        stopped(out, error, keep=True)
    assert content(out) == ["UNFINISHED.txt", "run"]
    check_free(out)


def test_a_link_is_removed_and_not_followed(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    with pytest.raises(ValueError, match="stop"):
        stopped(out, ValueError("stop"), keep=True)
    os.symlink(elsewhere, out / "corrections.parquet")
    with filling(out):
        assert content(out) == ["UNFINISHED.txt"]
    assert (elsewhere / "precious").exists()
