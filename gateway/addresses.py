"""Addresses that are meant, though not written, as they are documented: answered at once, without a redirect,
which clients follow without their body or not at all.

Covers: `//v1/…`, `/v1//…`, `/v1/v1/…`, `/V1/…` and a slash at the end; a base address without `/v1`, where a
key shows that a program asks; `/api/v1/…` without the slash at its end; those of Azure's clients, which begin
with `/openai` and name the model; `/v2/rerank` of Cohere's.
"""

import re
from collections.abc import Callable
from urllib.parse import quote

from accounts.keys import PREFIX, read_key
from gateway.http import AsgiScope

V1 = "/v1"
# in the scope of a request whose address was corrected: as it was written, and the model that it names
ASKED, DEPLOYMENT = "atrium.asked", "atrium.deployment"
_BASE = re.compile(r"/+(?:openai/+)?(?P<api>api/+)?(?:v1(?:/+|$))+", re.IGNORECASE)
_COHERE = re.compile(r"/+(?:v1/+)?v2/+(?P<path>rerank)/*")  # behind our base address, too
_AZURE = re.compile(r"/+openai(?:/+|$)")
_NO_PROGRAMS = ("/api/", "/static/", "/healthz/")


def is_v1(path: str) -> bool:
    return path.startswith("/v1/") or path == V1


def is_v2(scope: AsgiScope) -> bool:
    """Whether it was asked at an address of Cohere's."""
    return _COHERE.fullmatch(scope.get(ASKED, "")) is not None


def correct_address(scope: AsgiScope, is_served: Callable[[str], bool]) -> AsgiScope:
    """The request at the address that is meant. `is_served` says which below `/v1` there are."""
    path: str = scope["path"]
    if path.startswith("/v1/") and path[-1] != "/" and "//" not in path and path[4:7] not in ("v1/", "v2/"):
        return scope
    meant, model = _find_meant(path, scope, is_served)
    if meant == path:
        return scope
    corrected = scope | {"path": meant, "raw_path": quote(meant).encode(), ASKED: path}
    return corrected | {DEPLOYMENT: model} if model else corrected


def _find_meant(path: str, scope: AsgiScope, is_served: Callable[[str], bool]) -> tuple[str, str]:
    """The path, and the model that it names."""
    if cohere := _COHERE.fullmatch(path):
        return f"/v1/{cohere['path']}", ""
    base = _BASE.match(path)
    if base is not None:
        rest = path[base.end() :]
        if base["api"]:
            return f"/api/v1/{rest}" if "." in rest or rest[-1:] in ("", "/") else f"/api/v1/{rest}/", ""
        return f"/v1/{rest}".rstrip("/"), ""
    if azure := _AZURE.match(path):
        return _read_azure(path[azure.end() :].strip("/"), is_served)
    if path.startswith(_NO_PROGRAMS):
        return path, ""
    key = read_key(scope["headers"])
    meant = "/v1/" + path.strip("/")
    # what a proxy sends that logs people in is no key of ours, and must not take their pages away
    if key is not None and (key.startswith(f"{PREFIX}_") or is_served(meant)):
        return meant.rstrip("/"), ""
    return path, ""


def _read_azure(path: str, is_served: Callable[[str], bool]) -> tuple[str, str]:
    """`deployments/{model}/…` calls that model; the rest has the names of OpenAI's."""
    first, *segments = path.split("/")
    if first == "deployments":
        for position in range(1, len(segments)):
            meant = "/v1/" + "/".join(segments[position:])
            if is_served(meant):
                return meant, "/".join(segments[:position])
    return f"/v1/{path}".rstrip("/"), ""
