"""What a committed generation consists of: sizes and SHA-256 of its files, chained to the generation before.

The chain finds accidents and careless edits: a truncated or changed file, a missing one, a generation put in
another's place or taken from another run. It is no signature: whoever rewrites every manifest is not found.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroloop.atomic import crash_point, encode_json, read_json, read_text, storing
from ouroloop.errors import StoreError

__all__ = [
    "BROKEN",
    "MANIFEST",
    "PRUNED",
    "Problem",
    "build_manifest",
    "check_file",
    "digest_of",
    "files_in",
    "read_manifest",
    "read_pruned",
    "verify_generation",
]

MANIFEST = "manifest.json"
PRUNED = "pruned.json"
BROKEN = "does not follow the generation before it: it, or that one, comes from another run or was rewritten"
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Problem:
    """Something wrong with a run directory.

    Args:
        file: path relative to the run directory.
        what: what is wrong with it.
    """

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def digest_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with storing(path, "read"), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_in(directory: Path) -> Iterator[str]:
    """Paths of all files below a directory, relative to it, sorted; links are listed and not followed."""
    for root, folders, names in os.walk(directory):
        links = [name for name in folders if Path(root, name).is_symlink()]
        folders[:] = sorted(set(folders) - set(links))
        yield from (Path(root, name).relative_to(directory).as_posix() for name in sorted([*names, *links]))


def build_manifest(directory: Path, generation: int, previous: str) -> tuple[bytes, str]:
    """The manifest of a finished generation directory, and its digest; every file is on the disk afterwards.

    Args:
        previous: digest of the manifest of the generation before; for generation 0 the run's anchor.

    Raises:
        StoreError: something in the directory is not a regular file, or the disk is full.
    """
    files = {name: _settle(directory / name) for name in files_in(directory)}
    data = encode_json({"generation": generation, "previous": previous, "files": files}, MANIFEST, indent=1)
    return data, hashlib.sha256(data).hexdigest()


def _settle(path: Path) -> dict[str, Any]:
    """Size and digest of a file, after waiting until it is on the disk."""
    with storing(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise StoreError(f"{path}: only regular files can be stored")
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            crash_point(f"fsync {path.name}")
            os.fsync(descriptor)
    return {"bytes": status.st_size, "sha256": digest}


def read_manifest(directory: Path, generation: int) -> dict[str, Any]:
    """The manifest of a generation, with its own digest under "digest".

    Raises:
        StoreError: unreadable, malformed, or that of another generation.
    """
    path = directory / MANIFEST
    manifest = read_json(path)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(_entry_is_sound(name, entry) for name, entry in files.items()):
        raise StoreError(f"{path}: not a manifest; truncated or changed by hand?")
    if manifest.get("generation") != generation:
        raise StoreError(f"{path}: is that of generation {manifest.get('generation')}, expected {generation}: swapped?")
    digest = hashlib.sha256(read_text(path).encode()).hexdigest()
    return {**manifest, "digest": digest}


def _entry_is_sound(name: str, entry: Any) -> bool:
    inside = not name.startswith("/") and "\\" not in name and not {"", ".", ".."} & set(name.split("/"))
    return (
        inside
        and isinstance(entry, dict)
        and isinstance(entry.get("bytes"), int)
        and isinstance(entry.get("sha256"), str)
        and bool(_HEX.fullmatch(entry["sha256"]))
    )


def read_pruned(directory: Path) -> set[str]:
    """Names of the files that pruning has removed, or was about to remove, from a generation."""
    path = directory / PRUNED
    if not path.exists():
        return set()
    pruned = read_json(path)
    names = pruned.get("files") if isinstance(pruned, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise StoreError(f"{path}: not a list of pruned files")
    return set(names)


def check_file(path: Path, entry: Mapping[str, Any]) -> str | None:
    """What is wrong with a file that a manifest lists, or None."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        return "not a regular file"
    if not path.exists():
        return "missing"
    size = path.stat().st_size
    if size < entry["bytes"]:
        return f"truncated: {size} of {entry['bytes']} bytes"
    if size > entry["bytes"]:
        return f"changed: {size} bytes instead of {entry['bytes']}"
    if digest_of(path) != entry["sha256"]:
        return "changed: its SHA-256 differs from the manifest's"
    return None


def verify_generation(
    directory: Path, generation: int, previous: str | None, *, deep: bool = True
) -> tuple[list[Problem], str | None]:
    """Everything that is wrong with one generation directory, and the digest of its manifest.

    Args:
        previous: expected digest of the manifest before, or None where that one is itself in doubt.
        deep: whether to look at the files beside the manifest.
    """
    place = f"generations/{directory.name}"
    try:
        manifest, pruned = read_manifest(directory, generation), read_pruned(directory)
    except StoreError as error:
        file, _, what = str(error).partition(": ")
        return [Problem(f"{place}/{Path(file).name}", what)], None
    problems = []
    if previous is not None and manifest.get("previous") != previous:
        problems.append(Problem(f"{place}/{MANIFEST}", BROKEN))
    if not deep:
        return problems, manifest["digest"]
    for name, entry in manifest["files"].items():
        wrong = check_file(directory / name, entry)
        if wrong is not None and not (wrong == "missing" and name in pruned):
            problems.append(Problem(f"{place}/{name}", wrong))
    known = {*manifest["files"], MANIFEST, PRUNED}
    strays = [name for name in files_in(directory) if name not in known]
    problems += [Problem(f"{place}/{name}", "stray: no manifest lists it") for name in strays]
    return problems, manifest["digest"]
