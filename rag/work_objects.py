"""What this room's work is done to, for the list of background tasks: named for those who may read it."""

from collections.abc import Iterable
from contextlib import suppress
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from rag.models import Collection, Document, Generation
from rag.reach import list_reachable_collections
from tenants.work.kinds import WorkObject


def name_documents(user: User, ids: Iterable[str]) -> dict[str, WorkObject]:
    rows = Document.objects.filter(
        pk__in=_uuids(ids).values(), collection__in=list_reachable_collections(user)
    )
    found = {}
    for row in rows.select_related("collection"):
        text = _("“%(document)s” in “%(collection)s”") % {"document": row, "collection": row.collection}
        found[str(row.pk)] = WorkObject(text, reverse("rag:document-detail", args=[row.pk]))
    return found


def name_collections(user: User, ids: Iterable[str]) -> dict[str, WorkObject]:
    """Also of work whose id says more behind the collection's (rag.guide)."""
    wanted = _uuids(ids)
    rows = list_reachable_collections(user).filter(conversation_id=None).in_bulk(list(set(wanted.values())))
    return {one: _of_collection(rows[pk]) for one, pk in wanted.items() if pk in rows}


def name_generations(user: User, ids: Iterable[str]) -> dict[str, WorkObject]:
    """By the collection whose index it is."""
    open_ones = list_reachable_collections(user).filter(conversation_id=None)
    wanted = [int(one) for one in ids if one.isdecimal()]
    rows = Generation.objects.filter(pk__in=wanted, collection__in=open_ones).select_related("collection")
    return {str(row.pk): _of_collection(row.collection) for row in rows.defer("lexicon")}


def _uuids(ids: Iterable[str]) -> dict[str, UUID]:
    """Of those ids that begin with one."""
    found = {}
    for one in ids:
        with suppress(ValueError):
            found[one] = UUID(one.partition(" ")[0])
    return found


def _of_collection(row: Collection) -> WorkObject:
    return WorkObject(
        _("collection “%(name)s”") % {"name": row.name}, reverse("rag:collection-detail", args=[row.pk])
    )
