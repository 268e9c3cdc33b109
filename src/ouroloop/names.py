"""Names that become file names: what a user may call a run, an arm or a table."""

from __future__ import annotations

import re

from ouroloop.errors import StoreError

__all__ = ["safe_name"]

_LIMIT = 120
_ALLOWED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=@ -]*")
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))}


def safe_name(name: str) -> str:
    """The name itself, if it can be a file name on every system and cannot leave its folder.

    Raises:
        StoreError: empty, longer than 120 characters, a path, hidden, or with characters beyond A-Z a-z 0-9 _.+=@-
            and inner spaces.

    >>> safe_name("gamma=0.3")
    'gamma=0.3'
    """
    allowed = "allowed are letters a-z, digits and _ . + = @ - and inner spaces, starting with a letter, digit or _"
    if not isinstance(name, str) or not _ALLOWED.fullmatch(name):
        raise StoreError(f"{name!r} cannot be a name: {allowed}")
    if len(name) > _LIMIT:
        raise StoreError(f"{name[:40]!r}... cannot be a name: {len(name)} characters, at most {_LIMIT}")
    if name[-1] in ". " or name.split(".")[0].rstrip().lower() in _RESERVED:
        raise StoreError(f"{name!r} cannot be a name: some systems reserve it, or cut its end")
    return name
