"""What each dependency costs: megabytes installed and CPU seconds of a warm import, best of five.

Run: python benchmarks/import_cost.py
Prints a Markdown table, as in docs/dependencies.md. The time is user + system of a fresh interpreter that imports
the package, less that of one that imports nothing; packages that import others (torch, numpy) include them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution, version
from pathlib import Path

MODULES = {
    "numpy": "numpy",
    "scipy": "scipy.stats, scipy.optimize",
    "scikit-learn": "sklearn.cluster, sklearn.mixture, sklearn.datasets",
    "torch": "torch",
    "zuko": "zuko",
    "pyarrow": "pyarrow, pyarrow.parquet",
    "safetensors": "safetensors.numpy",
    "pydantic": "pydantic",
    "PyYAML": "yaml",
    "typer": "typer",
    "rich": "rich.console, rich.progress",
    "filelock": "filelock",
    "Jinja2": "jinja2",
    "matplotlib": "matplotlib.pyplot",
    "POT": "ot",
    "ouroloop": "ouroloop.cli",
}


def cpu_seconds(code: str) -> float:
    """CPU seconds of an interpreter that runs this code."""
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def megabytes(name: str) -> float:
    """Size of a package's installed files, compiled Python left out."""
    files = distribution(name).files or []
    paths = (Path(str(file.locate())) for file in files if "__pycache__" not in str(file))
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def main() -> None:
    """Print the table."""
    empty = min(cpu_seconds("pass") for _ in range(5))
    print("| package | version | MB | import, CPU s |\n|---|---|---|---|")
    for name, modules in MODULES.items():
        cost = min(cpu_seconds(f"import {modules}") for _ in range(5)) - empty
        print(f"| {name} | {version(name)} | {megabytes(name):.1f} | {max(cost, 0):.2f} |", flush=True)


if __name__ == "__main__":
    main()
