"""The pages' examples work: every ```python block and every ```console command of a page, in order, in one folder.

A block after a line that ends in "`name.ext`:" is written to that file instead. Blocks of other languages are not run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w.-]+\.\w+)`:\s*\Z")


def steps(page: Path) -> list[tuple[str, str, str]]:
    """(language, file name or "", content) of the page's blocks that are run or written."""
    text, found = page.read_text(encoding="utf-8"), []
    for match in BLOCK.finditer(text):
        name = FILE.search(text[: match.start()])
        language = match["language"]
        if name or language in ("python", "console"):
            body = textwrap.dedent(match["body"])
            found.append((language, name[1] if name else "", body))
    return found


def commands(body: str) -> list[str]:
    """The commands of a console block: lines after "$ ", with continuation lines after "> "."""
    found: list[str] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        elif line.startswith("> ") and found:
            found[-1] += "\n" + line[2:]
    return found


RUNNER = """
import json, subprocess, sys
names = {"__name__": "__main__"}
with open("steps.json") as file:
    steps = json.load(file)
for language, name, body in steps:
    print(f"--- {name or language}\\n{body}", flush=True)
    if name:
        with open(name, "w") as file:
            file.write(body)
    elif language == "python":
        exec(compile(body, "page", "exec"), names)
    else:
        subprocess.run(["bash", "-euo", "pipefail", "-c", body], check=True)
"""


TESTED = [page for page in PAGES if any(language in ("python", "console") for language, _, _ in steps(page))]


@pytest.mark.slow
@pytest.mark.parametrize("page", TESTED, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_work(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scripts = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": scripts + os.pathsep + os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    environment["OUROLOOP_CACHE"] = str(tmp_path / "cache")
    found = [
        (language, name, body)
        for language, name, whole in steps(page)
        for body in (commands(whole) if language == "console" and not name else [whole])
    ]
    (tmp_path / "steps.json").write_text(json.dumps(found), encoding="utf-8")
    (tmp_path / "runner.py").write_text(RUNNER, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "runner.py"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def test_there_are_examples_to_run():
    assert len(TESTED) >= 6
