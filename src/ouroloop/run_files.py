"""The files at the top of a run directory: what the run is, and whether it is the one that is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ouroloop.atomic import encode_json, plain, read_json, read_text, same, write_bytes
from ouroloop.errors import StoreError
from ouroloop.manifest import Problem, digest_of

__all__ = [
    "FORMAT",
    "RUN",
    "TOP",
    "anchor_of",
    "differing_fields",
    "find_runs",
    "flatten",
    "read_run",
    "read_spec",
    "verify_identity",
    "verify_run_files",
    "write_listed",
    "write_run_files",
    "write_spec",
]

FORMAT = 1
RUN = "run.json"
SPEC = "spec.yaml"
TOP = (SPEC, "fingerprint.json", "environment.json")
_SPEC_LIMIT = 4 << 20
_ABSENT = "(absent)"
_NOT_YET = "not yet"  # in the place of a digest: the file need not be there


def anchor_of(fingerprint: Mapping[str, Any]) -> str:
    """SHA-256 of the fingerprint: what the manifest of generation 0 points to."""
    return hashlib.sha256(encode_json(dict(sorted(flatten(fingerprint).items())), "fingerprint")).hexdigest()


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one with dotted names; lists stay whole.

    >>> flatten({"regime": {"kind": "replace", "synthetic_ratio": 1.0}})
    {'regime.kind': 'replace', 'regime.synthetic_ratio': 1.0}
    """
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping) and item:
            flat |= flatten(item, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = item
    return flat


def find_runs(path: Path, depth: int = 4) -> list[Path]:
    """The run directories at or below a folder, sorted.

    Raises:
        StoreError: there are none.
    """
    pattern = [path / RUN] if (path / RUN).is_file() else []
    for level in range(1, depth + 1):
        pattern += sorted(path.glob("/".join(["*"] * level) + f"/{RUN}"))
    found = [p.parent for p in pattern if not any(part.startswith(".") for part in p.relative_to(path).parts)]
    if not found:
        raise StoreError(f"{path}: no run here; give a run directory, or a folder of them")
    return found


def differing_fields(got: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """One text a field in which two fingerprints differ: its dotted name, what was got, what is stored.

    A field that is null in one and absent in the other is the same: an option that another version does not have.
    """
    ours, theirs = (
        {name: _without_nulls(value) if isinstance(value, list) else value for name, value in flatten(fields).items()}
        for fields in (plain(got, "fingerprint"), stored)
    )
    names = [*ours, *(name for name in theirs if name not in ours)]
    pairs = ((name, ours.get(name, _ABSENT), theirs.get(name, _ABSENT)) for name in names)
    unset = (_ABSENT, None)
    return [
        f"{name}: got {a!r}, stored {b!r}" for name, a, b in pairs if not same(a, b) and not (a in unset and b in unset)
    ]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nulls(v) for name, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value


def write_run_files(
    directory: Path,
    *,
    spec: Mapping[str, Any],
    fingerprint: Mapping[str, Any],
    environment: Mapping[str, Any],
    run: Mapping[str, Any],
) -> None:
    """Write the top of a new run; run.json comes last and makes the directory a run.

    Args:
        run: arm, seed, anchor and whether it was forked, as they are stored in run.json.
    """
    contents = {
        SPEC: encode_spec(spec),
        "fingerprint.json": encode_json(fingerprint, "fingerprint", indent=1),
        "environment.json": encode_json(environment, "environment", indent=1),
    }
    for name, data in contents.items():
        write_bytes(directory / name, data)
    digests = {name: [hashlib.sha256(data).hexdigest()] for name, data in contents.items()}
    record = {"format": FORMAT, **run, "files": digests}
    write_bytes(directory / RUN, encode_json(record, RUN, indent=1))


def encode_spec(spec: Mapping[str, Any]) -> bytes:
    """YAML text of a specification, in its own order, without aliases."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    text = yaml.dump(plain(spec, "spec"), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    data = text.encode()
    if len(data) > _SPEC_LIMIT:
        raise StoreError(f"spec: {len(data)} bytes of YAML, at most {_SPEC_LIMIT}; put data into files")
    return data


def write_spec(directory: Path, spec: Mapping[str, Any]) -> None:
    """Replace spec.yaml.

    Raises:
        StoreError: the present spec.yaml is not the one that was stored.
    """
    if digest_of(directory / SPEC) not in read_run(directory)["files"][SPEC]:
        raise StoreError(f"{directory / SPEC}: changed by hand; put the stored one back, or fork the run")
    write_listed(directory, SPEC, encode_spec(spec))


def write_listed(directory: Path, name: str, data: bytes) -> None:
    """Replace a file whose digest run.json lists; it lists the old one too, so that a crash in between is no damage."""
    run, digest = read_run(directory), hashlib.sha256(data).hexdigest()
    present = digest_of(directory / name) if (directory / name).exists() else _NOT_YET
    if run["files"].get(name, [""])[-1] != digest:
        run["files"][name] = list(dict.fromkeys([present, digest]))
        write_bytes(directory / RUN, encode_json(run, RUN, indent=1))
    if present != digest:
        write_bytes(directory / name, data)


def read_spec(directory: Path) -> dict[str, Any]:
    """The specification in a run directory."""
    import yaml

    class PlainLoader(yaml.SafeLoader):  # builds plain data only; not `read_yaml`, whose limits are those of people
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):  # a few aliases of aliases can stand for gigabytes
                raise yaml.YAMLError("aliases are not allowed here")
            return super().compose_node(parent, index)

    path = directory / SPEC
    try:
        spec = yaml.load(read_text(path, _SPEC_LIMIT), Loader=PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StoreError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(spec, dict):
        raise StoreError(f"{path}: expected a mapping, got {type(spec).__name__}")
    return spec


def read_run(directory: Path) -> dict[str, Any]:
    """run.json, checked.

    Raises:
        StoreError: the directory is no run, or one of a later format.
    """
    path = directory / RUN
    if not directory.is_dir():
        raise StoreError(f"{directory}: no such directory")
    if not path.is_file():
        raise StoreError(f"{directory}: not a run directory ({RUN} is missing)")
    run = read_json(path)
    if not isinstance(run, dict) or not isinstance(run.get("format"), int):
        raise StoreError(f"{path}: not a run's description; truncated or changed by hand?")
    if run["format"] > FORMAT:
        raise StoreError(f"{path}: format {run['format']}; this version reads up to {FORMAT}: install a newer one")
    kinds: dict[str, Any] = {"arm": str, "seed": int, "anchor": str, "files": dict}
    for name, kind in kinds.items():
        if not isinstance(run.get(name), kind):
            raise StoreError(f"{path}: '{name}' should be a {kind.__name__}, got {run.get(name)!r}")
    files = run["files"]
    if not all(isinstance(digests, list) and digests for digests in files.values()) or not set(TOP) <= set(files):
        raise StoreError(f"{path}: the digests of {', '.join(TOP)} are incomplete")
    if any("/" in name or "\\" in name for name in files):
        raise StoreError(f"{path}: lists files outside the run directory")
    return run


def verify_identity(spec: Mapping[str, Any], run: Mapping[str, Any]) -> list[Problem]:
    """run.json, of which nothing holds a digest, against the (sound) specification: they name one arm and one seed."""
    differing = [field for field in ("arm", "seed") if field in spec and spec[field] != run[field]]
    texts = [f"{field} is {run[field]!r}, but {SPEC} says {spec[field]!r}" for field in differing]
    return [Problem(RUN, f"changed by hand? {'; '.join(texts)}")] if texts else []


def verify_run_files(directory: Path, run: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the files at the top."""
    problems = []
    for name, digests in run["files"].items():
        path = directory / name
        if not path.is_file():
            problems += [] if _NOT_YET in digests and not path.exists() else [Problem(name, "missing")]
        elif digest_of(path) not in digests:
            problems.append(Problem(name, f"changed: its SHA-256 is not the one in {RUN}"))
    return problems
