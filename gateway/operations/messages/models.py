"""`GET /v1/models` as Anthropic's clients read it, told from others by a header that they always send. All
models come on one page, whatever length of it was asked for.
"""

from datetime import UTC, datetime
from typing import Any

from gateway.http import AsgiScope, find_header

VERSION = b"anthropic-version"
PATH = "/v1/models"


def is_asked(scope: AsgiScope) -> bool:
    path: str = scope["path"]
    return (path == PATH or path.startswith(f"{PATH}/")) and find_header(scope, VERSION) != b""


def as_models(listed: list[tuple[dict[str, Any], str]]) -> dict[str, Any]:
    """OpenAI's list, each with its name for people, as theirs."""
    data = [as_model(one, label) for one, label in listed]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def as_model(one: dict[str, Any], label: str) -> dict[str, Any]:
    moment = datetime.fromtimestamp(one["created"], UTC)  # 1970 where nobody knows, as at Anthropic
    created = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": one["id"], "display_name": label, "created_at": created}
