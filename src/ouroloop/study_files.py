"""The directory of a study: what study.json says, whether it is this very study, and how it is emptied."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ouroloop.atomic import read_json, read_mapping, write_json
from ouroloop.checks import CheckResult
from ouroloop.errors import StoreError
from ouroloop.names import safe_name
from ouroloop.run_files import RUN, differing_fields
from ouroloop.spec import semantic

if TYPE_CHECKING:
    from ouroloop.study import Study

__all__ = ["STUDY", "check_own", "check_unchanged", "remove_study", "write_study_file"]

STUDY = "study.json"
_SHOWN = 4  # differing fields in a message
_WAY_OUT = "nothing was changed; give another folder with -o, or start again in this one with --fresh"


def write_study_file(study: Study, out: Path, results: Sequence[CheckResult]) -> None:
    """Write study.json: the arms, where the study is from, and the verdicts so far."""
    summary = {
        "name": study.name,
        "title": study.title,
        "description": study.description,
        "reference": study.reference,
        "seeds": study.seeds,
        "arms": [{"name": a.name, "label": a.label or a.name, "role": a.role} for a in study.arms],
        "checks": [r.model_dump() for r in results],
        "source": study.source,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_json(out / STUDY, summary)


def check_unchanged(study: Study, out: Path, cells: Sequence[tuple[Path, Mapping[str, Any]]]) -> None:
    """Refuse a directory that holds another study, or runs that were made with other settings. Writes nothing.

    Args:
        study: what is to be run.
        out: the study's directory.
        cells: (run directory, resolved specification) of every run of the study, whether or not it is there.

    Raises:
        StoreError: one line with the differing fields and what to do.
    """
    stored = read_json(out / STUDY) if (out / STUDY).is_file() else None
    name = stored.get("name", study.name) if isinstance(stored, dict) else study.name
    if name != study.name:
        raise StoreError(f"{out}: holds the study '{name}', not '{study.name}'; {_WAY_OUT}")
    there = [(path, spec) for path, spec in cells if (path / RUN).is_file()]
    found = [_differing(path, spec) for path, spec in there]
    fields = list(dict.fromkeys(field for differing in found for field in differing))
    if fields:
        more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
        raise StoreError(
            f"{out}: {sum(map(bool, found))} of the {len(there)} runs in it were made with other settings "
            f"({'; '.join(fields[:_SHOWN])}{more}); {_WAY_OUT}"
        )


def check_own(study: Study, out: Path) -> None:
    """Refuse a file, and a directory that holds no study, but things that the study would not put there.

    Raises:
        StoreError: it names some of them.
    """
    if out.exists() and not out.is_dir():
        raise StoreError(f"{out}: is a file; give a new or empty folder with -o")
    names = {STUDY, "report.html", ".generation-0", *(arm.name for arm in study.arms)}
    other = [] if (out / STUDY).is_file() or not out.is_dir() else sorted({p.name for p in out.iterdir()} - names)
    if other:
        raise StoreError(f"{out}: holds other things ({', '.join(other[:_SHOWN])}); give a new or empty folder with -o")


def _differing(path: Path, spec: Mapping[str, Any]) -> list[str]:
    ours, theirs = semantic(spec), read_mapping(path / "fingerprint.json")
    theirs.pop("data_sha256", None)  # known once the data are loaded; the run itself compares it
    return differing_fields(ours, theirs)


def remove_study(out: Path) -> None:
    """Remove what a study wrote into its directory, and nothing else.

    Raises:
        StoreError: the directory is there and holds no study.
    """
    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / STUDY).is_file():
        raise StoreError(f"{out}: not a study directory; nothing was removed")
    for name in [".generation-0", *(safe_name(str(arm["name"])) for arm in read_mapping(out / STUDY)["arms"])]:
        if (out / name).is_dir():
            shutil.rmtree(out / name)
    (out / STUDY).unlink()  # last: without it the rest could not be removed after an interruption
