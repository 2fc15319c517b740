"""The files of a store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from accounts.models import User
from foundation.errors import AtriumError, NotAllowed
from gateway.files.shapes import PURPOSES, unknown_file
from gateway.files.shapes import read_id as read_file_id
from gateway.files.views import counted
from gateway.request import Request
from gateway.routes import route
from rag.changes import change_document
from rag.intake import add_file
from rag.models import Collection, Document
from rag.rights import require_edit
from rag.services import delete_document
from rag.stores.access import POLL_AFTER, get_file, get_store, list_files, step
from rag.stores.bodies import (
    ListQuery,
    WantedFile,
    check_chunking,
    read_body,
    read_file,
    read_pairs,
)
from rag.stores.ids import FILE, read_id
from rag.stores.pages import page_of_files
from rag.stores.shapes import STATES, show_files, show_list
from rag.twins import leave_to_twin
from tenants.files.selectors import find_own_file

FILES = "vector_stores/{vector_store_id}/files"


@dataclass(slots=True)
class Added:
    documents: list[Document] = field(default_factory=list)
    refused: list[AtriumError] = field(default_factory=list)


def add_files(user: User, store: Collection, files: Sequence[WantedFile]) -> Added:
    """Each that can be; the others are refused. Raises NotAllowed where none can be."""
    added = Added()
    for wanted in files:
        try:
            with transaction.atomic():
                added.documents.append(add_one(user, store, wanted))
        except NotAllowed:
            raise
        except AtriumError as exc:
            added.refused.append(exc)
    return added


def add_one(user: User, store: Collection, wanted: WantedFile) -> Document:
    """Two files of one name are two: they are told apart by their ids. Raises AtriumError."""
    check_chunking(store, wanted.characters)
    pk = read_file_id(wanted.id, FILE)
    file = find_own_file(user.pk, PURPOSES, pk) if pk is not None else None
    if file is None:
        raise unknown_file(wanted.id)
    address = f"{FILE}{file.pk.hex}/{file.name}"
    document, is_new = add_file(
        actor=user, collection=store, file=file, address=address, metadata=wanted.attributes
    )
    if not is_new and wanted.attributes:
        change_document(actor=user, document=document, metadata=wanted.attributes)
    return document


@route("POST", FILES)
async def create(request: Request, vector_store_id: str) -> None:
    async with counted(request) as headers:
        body = await read_body(request, ("file_id", "attributes", "chunking_strategy"))
        shown = await step(request, _create, vector_store_id, read_file(body))
        await request.answer(orjson.dumps(shown), headers)


def _create(user: User, project_id: UUID, text: str, wanted: WantedFile) -> dict[str, Any]:
    store = get_store(user, project_id, text)
    document = add_one(user, store, wanted)
    return show_files([document], wanted.id)[0]


@route("GET", FILES)
async def list_all(request: Request, vector_store_id: str) -> None:
    query = ListQuery(request.scope["query_string"])
    await request.answer(orjson.dumps(await step(request, _list, vector_store_id, query)))


def _list(user: User, project_id: UUID, text: str, query: ListQuery) -> dict[str, Any]:
    return page_files(list_files(get_store(user, project_id, text)), query)


def page_files(rows: Any, query: ListQuery) -> dict[str, Any]:
    if query.status:
        rows = rows.filter(state__in=STATES[query.status])
    page, has_more = page_of_files(rows, query)
    return show_list(show_files(page), has_more)


@route("GET", f"{FILES}/{{file_id}}")
async def show_one(request: Request, vector_store_id: str, file_id: str) -> None:
    shown = await step(request, _show, vector_store_id, file_id)
    await request.answer(orjson.dumps(shown), [POLL_AFTER])


def _show(user: User, project_id: UUID, text: str, file_text: str) -> dict[str, Any]:
    document = get_file(get_store(user, project_id, text), file_text)
    return show_files([document], file_text)[0]


@route("POST", f"{FILES}/{{file_id}}")
async def change(request: Request, vector_store_id: str, file_id: str) -> None:
    async with counted(request) as headers:
        body = await read_body(request, ("attributes",))
        attributes = read_pairs(body, "attributes")
        shown = await step(request, _change, vector_store_id, file_id, attributes)
        await request.answer(orjson.dumps(shown), headers)


def _change(user: User, project_id: UUID, text: str, file_text: str, attributes: Any) -> dict[str, Any]:
    """All of them are replaced."""
    document = get_file(get_store(user, project_id, text), file_text)
    change_document(actor=user, document=document, metadata=attributes)
    return show_files([document], file_text)[0]


@route("DELETE", f"{FILES}/{{file_id}}")
async def delete(request: Request, vector_store_id: str, file_id: str) -> None:
    """From the store, with all that is found of it; the file itself stays at /v1/files."""
    async with counted(request) as headers:
        await step(request, _delete, vector_store_id, file_id)
        shown = {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}
        await request.answer(orjson.dumps(shown), headers)


def _delete(user: User, project_id: UUID, text: str, file_text: str) -> None:
    document = get_file(get_store(user, project_id, text), file_text)
    require_edit(user, document.collection, "rag.delete_document")
    pk = read_id(file_text, FILE)
    if pk is None or pk == document.pk or not leave_to_twin(document, pk):
        delete_document(actor=user, document=document)


@route("GET", f"{FILES}/{{file_id}}/content")
async def show_content(request: Request, vector_store_id: str, file_id: str) -> None:
    """What was read of it, as text."""
    texts = await step(request, _read_content, vector_store_id, file_id)
    shown = {
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": "\n\n".join(texts)}] if texts else [],
        "has_more": False,
        "next_page": None,
    }
    await request.answer(orjson.dumps(shown))


def _read_content(user: User, project_id: UUID, text: str, file_text: str) -> list[str]:
    document = get_file(get_store(user, project_id, text), file_text)
    return list(document.blocks.order_by("position").values_list("text", flat=True))
