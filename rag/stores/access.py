"""As whom a step of the database is done: the key's person, on the key's project."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from auditlog.context import set_actor
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import Q, QuerySet

from accounts.models import User
from foundation.errors import Conflict, InvalidInput, NotFound
from foundation.refusals import texts_by_field
from foundation.told import gettext as _
from gateway.calls import Principal
from gateway.files.steps import on_database
from gateway.request import Request
from rag.booking import booked_on
from rag.models import Collection, Document
from rag.selectors import list_visible_collections
from rag.stores.ids import FILE, SHOWN_ID, STORE, read_id, unknown_file, unknown_store

R = TypeVar("R")
POLL_AFTER = (b"openai-poll-after-ms", b"500")  # heeded by clients that wait until something is read


async def step(request: Request, work: Callable[..., R], *arguments: Any) -> R:
    """work(user, project_id, …) in a transaction. Raises AtriumError; Conflict where others were quicker."""
    principal = request.principal
    try:
        return await on_database(principal.tenant, _act, principal, work, *arguments)
    except IntegrityError as exc:
        raise Conflict(_("Others changed the same at this moment. Try again.")) from exc


def _act(principal: Principal, work: Callable[..., R], *arguments: Any) -> R:
    user = User.objects.filter(pk=principal.user_id).first()
    if user is None or not user.is_active:
        raise NotFound(_("There is no such person any more."))
    booked = booked_on(key_id=principal.key_id, project_id=principal.project_id)
    with set_actor(user), booked, _refusals():
        return work(user, principal.project_id, *arguments)


@contextmanager
def _refusals() -> Iterator[None]:
    """What a model's own checks refuse, as the gateway tells it."""
    try:
        yield
    except ValidationError as exc:
        field, texts = next(iter(texts_by_field(exc).items()))
        raise InvalidInput(texts[0], param=field, code="invalid_value") from exc


def list_stores(user: User, project_id: UUID) -> QuerySet[Collection]:
    """Without the files of conversations."""
    return list_visible_collections(user, project_id).filter(conversation_id=None)


def get_store(user: User, project_id: UUID, text: str) -> Collection:
    """Raises NotFound."""
    pk = read_id(text, STORE)
    row = list_stores(user, project_id).filter(pk=pk).first() if pk is not None else None
    if row is None:
        raise unknown_store(text)
    return row


def list_files(store: Collection) -> QuerySet[Any]:
    """Without what mails brought, which goes with its mail."""
    rows = store.documents.filter(parent=None).select_related("file", "collection")
    return rows.annotate(shown_id=SHOWN_ID)


def get_file(store: Collection, text: str) -> Document:
    """Also by another file of the same bytes that was added, too. Raises NotFound."""
    pk = read_id(text, FILE)
    if pk is None:
        raise unknown_file(text)
    row = list_files(store).filter(Q(shown_id=pk) | Q(twins__contains=[pk])).first()
    if row is None:
        raise unknown_file(text)
    return row
