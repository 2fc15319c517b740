"""What a request may read: a key on its project, a session on all of its person's."""

from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.request import Request

from accounts.authentication import key_of
from foundation.errors import InvalidInput, NotFound
from rag.models import Collection, Document, SavedQuestion
from rag.reach import find_project_of, list_reachable_collections
from rag.selectors import list_visible_collections
from tenants.data_policy import strictest


def list_readable(request: Request) -> QuerySet[Collection]:
    """Without the files of conversations."""
    key = key_of(request)
    rows = (
        list_reachable_collections(request.user)
        if key is None
        else list_visible_collections(request.user, key.project_id)
    )
    return rows.filter(conversation_id=None)


def get_collection(request: Request, pk: UUID | str) -> Collection:
    """Raises NotFound."""
    row = list_readable(request).filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such collection, or you may not use it."))
    return row


def get_document(request: Request, pk: UUID | str) -> Document:
    """Raises NotFound."""
    rows = Document.objects.filter(collection__in=list_readable(request))
    row = rows.select_related("collection", "file").filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such document, or you may not read it."))
    return row


def get_question(request: Request, pk: UUID | str) -> SavedQuestion:
    """Raises NotFound."""
    rows = SavedQuestion.objects.filter(collection__in=list_readable(request))
    row = rows.select_related("collection").filter(pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such question."))
    return row


def check_models(request: Request, *names: str, param: str = "embedding_model") -> None:
    """A key calls the models that it names alone. Raises InvalidInput."""
    key = key_of(request)
    if key is not None and key.model_names and not set(filter(None, names)) <= set(key.model_names):
        raise InvalidInput(_("This key may not use that model."), param=param)


def policy_of(request: Request, wanted: str) -> str:
    """Where the texts of a new collection may go: no further than those of the key's project."""
    key = key_of(request)
    return strictest(wanted, key.project.data_policy) if key is not None else wanted


def project_of(request: Request, collection: Collection) -> UUID | None:
    """On which it is searched, and paid for."""
    key = key_of(request)
    return key.project_id if key is not None else find_project_of(request.user, collection)
