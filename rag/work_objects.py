"""What this room's work is done to, for the list of background tasks: named for those who may read it."""

from collections.abc import Iterable

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from rag.models import Collection, Document, Generation
from rag.reach import list_reachable_collections
from tenants.work.kinds import WorkObject


def name_documents(user: User, ids: Iterable[str]) -> dict[str, WorkObject]:
    rows = Document.objects.filter(pk__in=list(ids), collection__in=list_reachable_collections(user))
    texts = {
        row: {"document": row, "collection": row.collection} for row in rows.select_related("collection")
    }
    return {
        str(row.pk): WorkObject(
            _("“%(document)s” in “%(collection)s”") % text, reverse("rag:document-detail", args=[row.pk])
        )
        for row, text in texts.items()
    }


def name_collections(user: User, ids: Iterable[str]) -> dict[str, WorkObject]:
    rows = list_reachable_collections(user).filter(pk__in=list(ids), conversation_id=None)
    return {str(row.pk): _of_collection(row) for row in rows}


def name_generations(user: User, ids: Iterable[str]) -> dict[str, WorkObject]:
    """By the collection whose index it is."""
    open_ones = list_reachable_collections(user).filter(conversation_id=None)
    rows = Generation.objects.filter(pk__in=list(ids), collection__in=open_ones).select_related("collection")
    return {str(row.pk): _of_collection(row.collection) for row in rows.defer("lexicon")}


def _of_collection(row: Collection) -> WorkObject:
    return WorkObject(
        _("collection “%(name)s”") % {"name": row.name}, reverse("rag:collection-detail", args=[row.pk])
    )
