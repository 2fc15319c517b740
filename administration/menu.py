"""The side menu of an administration: each ModelAdmin says where it stands, the menu is made of those the
person may see.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class MenuGroup(Enum):
    """The menu's groups in their order. A later room adds its own here."""

    TENANTS = _("Tenants")
    PEOPLE = _("People and access")
    MODELS = pgettext_lazy("menu", "Models")
    CHAT = pgettext_lazy("menu", "Chat")
    KNOWLEDGE = pgettext_lazy("menu", "Knowledge")
    USAGE = _("Usage and cost")
    OPERATION = pgettext_lazy("menu", "Operation")
    SECURITY = _("Security")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list stands in the menu. `icon` is a name of Lucide's; `title` replaces the model's
    plural name.
    """

    group: MenuGroup
    order: int
    icon: str
    title: str | Promise = ""


def build_menu(site, request: HttpRequest) -> list[dict[str, Any]]:
    """The groups for unfold's sidebar: first the start page, then what the person may see."""
    groups: dict[MenuGroup, list[tuple[int, dict]]] = {group: [] for group in MenuGroup}
    for model, model_admin in site._registry.items():
        place = getattr(model_admin, "place", None)
        if (
            place
            and model_admin.has_module_permission(request)
            and model_admin.has_view_or_change_permission(request)
        ):
            link = reverse(f"{site.name}:{model._meta.app_label}_{model._meta.model_name}_changelist")
            title = model_admin.list_title()
            is_active = request.path.startswith(link)
            groups[place.group].append((place.order, _item(title, link, place.icon, is_active)))
            if is_active:
                # the page's heading says the same as the menu (templates/unfold/helpers/header_title.html)
                request.menu_title = title
    start = reverse(f"{site.name}:index")
    menu = [{"title": "", "items": [_item(_("Today"), start, "activity", request.path == start)]}]
    menu += [
        {"title": group.value, "items": [item for _order, item in sorted(items, key=lambda pair: pair[0])]}
        for group, items in groups.items()
        if items
    ]
    return menu


def _item(title: str | Promise, link: str, icon: str, is_active: bool) -> dict[str, Any]:
    return {"title": title, "link": link, "icon": icon, "active": is_active, "has_permission": True}
