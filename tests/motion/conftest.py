from __future__ import annotations

import gzip
import itertools
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHARED = Path(__file__).parents[3] / "shared" / "data" / "motion"


@dataclass(frozen=True)
class Clips:
    """The shared captioned clips: joint positions (T, 22, 3) and what is known of each."""

    positions: list[np.ndarray]
    about: list[dict[str, Any]]


@pytest.fixture(scope="session")
def shared_motion() -> Path:
    if not SHARED.exists():
        pytest.skip("no motion data in ../shared/data/motion")
    return SHARED


@pytest.fixture(scope="session")
def shared_clips(shared_motion: Path) -> Clips:
    """Read here without the package, so that tests of the package's reader have something to compare with."""
    with np.load(shared_motion / "motion_j22.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    rel = arrays["rel"].astype(np.float64) * float(arrays["rel_scale"])
    root = arrays["root"].astype(np.float64)
    positions = np.concatenate([root[:, None], root[:, None] + rel], axis=1)
    starts = arrays["clip_start"]
    with gzip.open(shared_motion / "clips.jsonl.gz", "rt", encoding="utf-8") as lines:
        about = [json.loads(line) for line in lines]
    return Clips([positions[a:b] for a, b in itertools.pairwise(starts)], about)


@pytest.fixture(scope="session")
def originals(shared_motion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the unmodified BVH, ASF, AMC and DeepMimic files."""
    folder = tmp_path_factory.mktemp("originals")
    with tarfile.open(shared_motion / "originals.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "originals"
