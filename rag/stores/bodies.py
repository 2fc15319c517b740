"""What requests for vector stores say. Everything is checked here, and what is not known is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.http import read_json_body
from gateway.operations.body import check, check_range, load_any_object, wrong
from gateway.request import Request
from rag.models import Collection

MOST_PAIRS, MOST_KEY, MOST_VALUE = 16, 64, 512
MOST_IN_BATCH = 500  # files; OpenAI takes 2,000
CHARACTERS_OF_TOKEN = 4
LEAST_TOKENS, MOST_TOKENS = 100, 4096
LEAST_CHARACTERS, MOST_CHARACTERS = 200, 4000  # of a passage
STATUSES = ("in_progress", "completed", "failed", "cancelled")
MOST_LISTED, LISTED = 100, 20
Attributes = dict[str, str | float | bool]


async def read_body(request: Request, known: Sequence[str]) -> dict[str, Any]:
    """The fields that are there; a body may be missing. Raises InvalidInput, and what reading it raises."""
    raw = await read_json_body(request.scope, request.receive)
    body = load_any_object(raw if raw.strip() else b"{}")
    refuse_unknown(body, known)
    return {name: value for name, value in body.items() if value is not None}


def refuse_unknown(given: Mapping[str, Any], known: Sequence[str], place: str = "") -> None:
    for name in given:
        if name not in known:
            told = _("There is no parameter “%(name)s” here. Known: %(known)s.")
            shown = f"{place}{name}"[:80]
            raise InvalidInput(
                told % {"name": shown, "known": ", ".join(known)}, code="unknown_parameter", param=shown
            )


def read_text(body: dict[str, Any], name: str, most: int) -> str | None:
    """Raises InvalidInput."""
    check(body, name, str)
    value = body.get(name)
    if value is not None and len(value) > most:
        raise wrong(name, _("may have at most %(limit)d characters") % {"limit": most})
    return None if value is None else " ".join(value.replace("\0", "").split())


def read_pairs(body: dict[str, Any], name: str, *, only_texts: bool = False, place: str = "") -> Attributes:
    """`metadata` of a store, whose values are texts, or `attributes` of a file. Raises InvalidInput."""
    value, shown = body.get(name), f"{place}{name}"
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(shown, _("must be an object"), "invalid_type")
    if len(value) > MOST_PAIRS:
        raise wrong(shown, _("may have at most %(limit)d entries") % {"limit": MOST_PAIRS})
    kinds = (str,) if only_texts else (str, bool, int, float)
    for key, one in value.items():
        if not 0 < len(key) <= MOST_KEY or "\0" in key:
            raise wrong(shown, _("has a key of none or more than %(limit)d characters") % {"limit": MOST_KEY})
        if type(one) not in kinds:
            reason = (
                _("must have texts as values") if only_texts else _("may have texts, numbers, true and false")
            )
            raise wrong(f"{shown}.{key}", reason, "invalid_type")
        if isinstance(one, str) and (len(one) > MOST_VALUE or "\0" in one):
            raise wrong(f"{shown}.{key}", _("may have at most %(limit)d characters") % {"limit": MOST_VALUE})
    return value


def refuse_expiry(body: dict[str, Any]) -> None:
    """Raises InvalidInput."""
    if body.get("expires_after") is not None:
        raise wrong(
            "expires_after", _("is not served: a vector store stays until it is deleted"), "unsupported_value"
        )


def read_chunking(body: dict[str, Any], place: str = "") -> int | None:
    """How many characters a passage may have; None: nothing is said of it. Passages end where paragraphs and
    sections do, so that `chunk_overlap_tokens` changes nothing. Raises InvalidInput.
    """
    value, name = body.get("chunking_strategy"), f"{place}chunking_strategy"
    if value is None or value == {"type": "auto"}:
        return None
    if (
        not isinstance(value, dict)
        or value.get("type") != "static"
        or not isinstance(value.get("static"), dict)
    ):
        raise wrong(
            name,
            _("must be {“type”: “auto”} or {“type”: “static”, “static”: {“max_chunk_size_tokens”: …}}"),
        )
    static = dict(value["static"])
    refuse_unknown(static, ("max_chunk_size_tokens", "chunk_overlap_tokens"), f"{name}.static.")
    check(static, "max_chunk_size_tokens", int, required=True)
    check_range(static, "max_chunk_size_tokens", LEAST_TOKENS, MOST_TOKENS)
    check(static, "chunk_overlap_tokens", int)
    check_range(static, "chunk_overlap_tokens", 0, static["max_chunk_size_tokens"] // 2)
    return min(CHARACTERS_OF_TOKEN * static["max_chunk_size_tokens"], MOST_CHARACTERS)


def check_chunking(collection: Collection, characters: int | None, place: str = "") -> None:
    """A store cuts all its files in one way. Raises InvalidInput."""
    if characters not in (None, collection.chunk_characters):
        told = _("must be that of the vector store, which cuts all its files in one way: %(tokens)d tokens")
        tokens = tokens_of(collection)
        raise wrong(f"{place}chunking_strategy", told % {"tokens": tokens}, "unsupported_value")


def tokens_of(collection: Collection) -> int:
    return max(LEAST_TOKENS, collection.chunk_characters // CHARACTERS_OF_TOKEN)


@dataclass(frozen=True, slots=True)
class WantedFile:
    id: str
    attributes: Attributes = field(default_factory=dict)
    characters: int | None = None


def read_file(body: dict[str, Any], place: str = "") -> WantedFile:
    """Raises InvalidInput."""
    if not isinstance(body.get("file_id"), str):
        code = "missing_required_parameter" if body.get("file_id") is None else "invalid_type"
        raise wrong(f"{place}file_id", _("must name a file of /v1/files"), code)
    return WantedFile(
        body["file_id"], read_pairs(body, "attributes", place=place), read_chunking(body, place)
    )


def read_files(body: dict[str, Any]) -> list[WantedFile]:
    """Of `file_ids`, or of `files`, each once. Raises InvalidInput."""
    check(body, "file_ids", list)
    check(body, "files", list)
    if body.get("file_ids") is not None and body.get("files") is not None:
        raise wrong("files", _("and “file_ids” cannot be given both"))
    rows, name = (body.get("files"), "files") if body.get("files") is not None else ([], "file_ids")
    common = {"attributes": body.get("attributes"), "chunking_strategy": body.get("chunking_strategy")}
    found = {}
    if name == "file_ids":
        for number, one in enumerate(body.get("file_ids") or []):
            if not isinstance(one, str):
                raise wrong(f"file_ids[{number}]", _("must name a file of /v1/files"), "invalid_type")
            found[one] = read_file({"file_id": one, **common})
    for number, one in enumerate(rows or []):
        place = f"files[{number}]."
        if not isinstance(one, dict):
            raise wrong(place.rstrip("."), _("must be an object"), "invalid_type")
        refuse_unknown(one, ("file_id", "attributes", "chunking_strategy"), place)
        wanted = read_file(one, place)
        found[wanted.id] = wanted
    if len(found) > MOST_IN_BATCH:
        raise wrong(name, _("may name at most %(limit)d files at once") % {"limit": MOST_IN_BATCH})
    return list(found.values())


class ListQuery:
    """What a list is asked for. Raises InvalidInput."""

    def __init__(self, query: bytes) -> None:
        asked = dict(parse_qsl(query.decode("latin-1")))
        limit = asked.get("limit", str(LISTED))
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST_LISTED):
            raise wrong("limit", _("must lie between %(low)s and %(high)s") % {"low": 1, "high": MOST_LISTED})
        self.limit = int(limit)
        self.order = asked.get("order", "desc")
        if self.order not in ("asc", "desc"):
            raise wrong("order", _("must be one of: %(names)s") % {"names": "asc, desc"})
        self.status = asked.get("filter", "")
        if self.status and self.status not in STATUSES:
            raise wrong("filter", _("must be one of: %(names)s") % {"names": ", ".join(STATUSES)})
        self.after = asked.get("after", "")
        self.before = asked.get("before", "")
        if self.after and self.before:
            raise wrong("before", _("and “%(other)s” cannot be given both") % {"other": "after"})
