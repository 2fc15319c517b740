"""Who may use an object, in words: as it is, and as it would be with one right more."""

from collections.abc import Iterable
from typing import Any

from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.models import Grant
from accounts.roles import role_label


def name_holder(row: Grant) -> str:
    """Whom a right is about: “role Auditor”, “project Sales”, “Bob Berger”."""
    if row.role is not None:
        return _("role %(name)s") % {"name": role_label(row.role)}
    if row.project is not None:
        return _("project %(name)s") % {"name": row.project}
    return str(row.user)


def say_who(name: str, grants: Iterable[Grant]) -> str:
    """By the rule of accounts.grants, for an object that people call `name`."""
    named: dict[str, list[str]] = {Grant.Effect.ALLOW: [], Grant.Effect.DENY: []}
    for row in grants:
        named[row.effect].append(name_holder(row))
    texts = {"name": name, "allowed": _list(named["allow"]), "denied": _list(named["deny"])}
    if named["allow"] and named["deny"]:
        return _("Only these may use %(name)s: %(allowed)s. Refused to: %(denied)s.") % texts
    if named["allow"]:
        return _("Only these may use %(name)s: %(allowed)s.") % texts
    if named["deny"]:
        return _("Everybody may use %(name)s except: %(denied)s.") % texts
    return _("Everybody may use %(name)s.") % texts


def with_one_more(grants: Iterable[Grant], effect: str, holders: dict[str, Any]) -> list[Grant]:
    """The grants on one object as they would be with this one; of the same holder it takes the place."""
    new = Grant(effect=effect, **holders)
    kept = [
        row
        for row in grants
        if (row.role_id, row.project_id, row.user_id) != (new.role_id, new.project_id, new.user_id)
    ]
    return [*kept, new]


def _list(names: list[str]) -> str:
    return get_text_list(sorted(names), pgettext("last of a list", "and"))
