"""What a person may read of this room on its pages, where they work on all of their projects at once: what
one of these opens is open.
"""

from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.selectors import list_member_projects
from foundation.errors import NotFound
from rag.models import Collection, Document
from rag.selectors import list_visible_collections


def list_reachable_collections(user: User) -> QuerySet[Collection]:
    """Also the files of conversations, which no list shows: a citation leads to them."""
    is_open = Q(pk__in=[])
    for project in list_member_projects(user):
        is_open |= Q(pk__in=list_visible_collections(user, project.pk).values("pk"))
    return Collection.objects.filter(is_open)


def get_reachable_collection(user: User, collection_id: UUID) -> Collection:
    """Raises NotFound, also for one that the person may not read."""
    rows = list_reachable_collections(user).select_related("active_generation")
    row = rows.defer("active_generation__lexicon").filter(pk=collection_id).first()
    if row is None:
        raise NotFound(_("There is no such collection, or you may not use it."))
    return row


def get_reachable_document(user: User, document_id: UUID) -> Document:
    """Raises NotFound, also for one that the person may not read."""
    rows = Document.objects.filter(collection__in=list_reachable_collections(user))
    row = rows.select_related("collection", "file").filter(pk=document_id).first()
    if row is None:
        raise NotFound(_("There is no such document, or you may not read it."))
    return row


def find_project_of(user: User, collection: Collection) -> UUID | None:
    """A project on which the person may search the collection; the default one first."""
    for project in list_member_projects(user):
        if list_visible_collections(user, project.pk).filter(pk=collection.pk).exists():
            return project.pk
    return None
