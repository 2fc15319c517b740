"""Addresses that are meant, though not written, as they are documented: answered at once, without a redirect,
which clients follow without their body or not at all.

Covers: `//v1/…`, `/v1//…`, `/v1/v1/…` and a slash at the end; a base address without `/v1`, where a key shows
that a program asks; `/api/v1/…` without the slash at its end.
"""

import re
from collections.abc import Callable

from accounts.keys import PREFIX, read_key
from gateway.http import AsgiScope

V1 = "/v1"
_BASE = re.compile(r"/+(?P<api>api/+)?(?:v1(?:/+|$))+")
_NO_PROGRAMS = ("/api/", "/static/", "/healthz/")


def is_v1(path: str) -> bool:
    return path.startswith("/v1/") or path == V1


def canonical_path(scope: AsgiScope, is_served: Callable[[str], bool]) -> str:
    """The path that is meant. `is_served` says which below `/v1` there are."""
    path: str = scope["path"]
    if path.startswith("/v1/") and path[-1] != "/" and "//" not in path and path[4:7] != "v1/":
        return path
    base = _BASE.match(path)
    if base is not None:
        rest = path[base.end() :]
        if base["api"]:
            return f"/api/v1/{rest}" if "." in rest or rest[-1:] in ("", "/") else f"/api/v1/{rest}/"
        return f"/v1/{rest}".rstrip("/")
    if path.startswith(_NO_PROGRAMS):
        return path
    key = read_key(scope["headers"])
    meant = "/v1/" + path.strip("/")
    # what a proxy sends that logs people in is no key of ours, and must not take their pages away
    if key is not None and (key.startswith(f"{PREFIX}_") or is_served(meant)):
        return meant.rstrip("/")
    return path
