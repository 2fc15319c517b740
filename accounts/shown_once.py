"""The text of a new key on its way from the form to the one page that shows it, so that loading that page
again makes no second key.

Covers: it is kept sealed in the session of whoever made it, is taken out by the look that shows it, and is
not shown after KEPT_S.
Does not cover: a browser that never comes back leaves the sealed text in its session until that ends.
"""

import time
from typing import Any
from uuid import UUID

from django.http import HttpRequest

from accounts.models import ApiKey
from tenants.sealing import BrokenSeal, NoDataKey, seal, unseal

SESSION_NAME = "new_api_key"
KEPT_S = 300


def keep_new_key(request: HttpRequest, key: ApiKey, text: str) -> None:
    sealed = seal(text, **_place(key.pk))
    request.session[SESSION_NAME] = {"id": str(key.pk), "sealed": sealed, "made_at": time.time()}


def take_new_key(request: HttpRequest, only: str = "") -> tuple[UUID, str] | None:
    """(the key's id, its text) of the key that this session has just made, or that one `only`; the next call
    gives None.
    """
    kept = request.session.get(SESSION_NAME)
    if kept is None or (only and kept["id"] != only):
        return None
    del request.session[SESSION_NAME]
    if time.time() - kept["made_at"] > KEPT_S:
        return None
    key_id = UUID(kept["id"])
    try:
        return key_id, unseal(kept["sealed"], **_place(key_id))
    except (BrokenSeal, NoDataKey):  # the tenant's data key has changed meanwhile
        return None


def _place(key_id: UUID) -> dict[str, Any]:
    return {"table": "accounts_apikey", "row": key_id, "field": "shown_once"}
