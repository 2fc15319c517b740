"""What the pages of a collection have in common: its tabs, and who may change it."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from rag.models import Collection
from rag.rights import may_edit

Context = dict[str, Any]


def frame(request: HttpRequest, collection: Collection, current: str) -> Context:
    """The variables of rag/_frame.html; `current` is the tab's route."""
    can_edit = may_edit(request.user, collection)
    tabs = [("rag:collection-detail", _("Documents")), ("rag:collection-search", _("Search bench"))]
    tabs.append(("rag:collection-graph", _("Graph")))
    if collection.owner_id is None and request.user.has_perm("accounts.view_grant"):
        tabs.append(("rag:collection-access", _("Access")))
    if can_edit:
        tabs.append(("rag:collection-settings", _("Settings")))
    return {
        "collection": collection,
        "can_edit": can_edit,
        "tabs": [
            {
                "url": reverse(name, args=[collection.pk]),
                "label": label,
                "is_current": name == current,
                "count": None,
            }
            for name, label in tabs
        ],
    }
