"""Files and uploads as OpenAI's API shows them, and what its requests say."""

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from django.utils import timezone

from foundation.errors import InvalidInput, NotFound
from foundation.told import gettext as _
from gateway.operations.body import wrong
from tenants.files.models import File, Upload
from tenants.files.uploads import Part

# those that a client may name, and those of files that the platform makes for it
GIVEN = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
PURPOSES = (*GIVEN, "assistants_output", "batch_output", "fine-tune-results")
MOST_LISTED = 10_000
EXPIRES_S = range(3_600, 2_592_001)
BATCHES_EXPIRE_S = 2_592_000  # as at OpenAI, where nothing else is said
_ID = re.compile(r"(file-|upload_|part_)([0-9a-f]{32})")


def read_id(text: str, prefix: str) -> UUID | None:
    found = _ID.fullmatch(text)
    return UUID(found[2]) if found and found[1] == prefix else None


def unknown_file(text: str) -> NotFound:
    return NotFound(
        _("There is no file “%(id)s”, or it is not yours.") % {"id": text[:80]},
        code="file_not_found",
        param="file_id",
    )


def show_file(row: File) -> dict[str, Any]:
    shown = {
        "id": f"file-{row.pk.hex}",
        "object": "file",
        "bytes": row.size_bytes,
        "created_at": int(row.created_at.timestamp()),
        "filename": row.name,
        "purpose": row.purpose,
        "status": row.state,
    }
    return shown | ({"expires_at": int(row.expires_at.timestamp())} if row.expires_at else {})


def show_upload(row: Upload, file: File | None = None) -> dict[str, Any]:
    shown = {
        "id": f"upload_{row.pk.hex}",
        "object": "upload",
        "bytes": row.size_bytes,
        "created_at": int(row.created_at.timestamp()),
        "expires_at": int(row.expires_at.timestamp()),
        "filename": row.name,
        "purpose": row.purpose,
        "status": row.state_at(timezone.now()),
    }
    return shown | ({"file": show_file(file)} if file is not None else {})


def show_part(row: Part) -> dict[str, Any]:
    return {
        "id": f"part_{row.id.hex}",
        "object": "upload.part",
        "created_at": int(row.created_at.timestamp()),
        "upload_id": f"upload_{row.upload_id.hex}",
    }


def read_purpose(value: Any) -> str:
    """Raises InvalidInput."""
    if value in (None, ""):
        raise wrong("purpose", _("is missing"), "missing_required_parameter")
    if value not in GIVEN:
        raise wrong("purpose", _("must be one of: %(names)s") % {"names": ", ".join(GIVEN)})
    return str(value)


def read_expiry(anchor: Any, seconds: Any, purpose: str) -> int | None:
    """After how many seconds a file expires; None: never. Raises InvalidInput."""
    if anchor is None and seconds is None:
        return BATCHES_EXPIRE_S if purpose == "batch" else None
    if anchor != "created_at":
        raise wrong("expires_after[anchor]", _("must be one of: %(names)s") % {"names": "created_at"})
    text = str(seconds)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) in EXPIRES_S):
        bounds = {"low": EXPIRES_S[0], "high": EXPIRES_S[-1]}
        raise wrong("expires_after[seconds]", _("must lie between %(low)s and %(high)s") % bounds)
    return int(text)


def expires_at(seconds: int | None) -> datetime | None:
    return timezone.now() + timedelta(seconds=seconds) if seconds is not None else None


class ListQuery:
    """What a list is asked for. Raises InvalidInput."""

    def __init__(self, query: bytes) -> None:
        asked = dict(parse_qsl(query.decode("latin-1")))
        limit = asked.get("limit", str(MOST_LISTED))
        if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= MOST_LISTED):
            raise wrong("limit", _("must lie between %(low)s and %(high)s") % {"low": 1, "high": MOST_LISTED})
        self.limit = int(limit)
        self.order = asked.get("order", "desc")
        if self.order not in ("asc", "desc"):
            raise wrong("order", _("must be one of: %(names)s") % {"names": "asc, desc"})
        wanted = asked.get("purpose")
        self.purposes = [one for one in PURPOSES if wanted in (None, one)]
        self.after: UUID | None = None
        if "after" in asked:
            self.after = read_id(asked["after"], "file-")
            if self.after is None:
                raise InvalidInput(
                    _("There is no file “%(id)s”, or it is not yours.") % {"id": asked["after"][:80]},
                    code="file_not_found",
                    param="after",
                )
