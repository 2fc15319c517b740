"""Files that come into a store together: a row among the work tells which, for thirty days, and the documents
tell how far they are.
"""

from contextlib import suppress
from typing import Any
from uuid import UUID

import orjson

from accounts.models import User
from foundation.errors import Conflict
from foundation.told import gettext as _
from gateway.files.views import counted
from gateway.request import Request
from gateway.routes import route
from rag.intake import cancel_document
from rag.models import Document
from rag.stores.access import POLL_AFTER, get_store, list_files, step
from rag.stores.bodies import ListQuery, WantedFile, read_body, read_files, wrong
from rag.stores.files import add_files, page_files
from rag.stores.ids import BATCH, read_id, unknown_batch
from rag.stores.shapes import STATES, show_batch
from rag.work_names import FILE_BATCH
from tenants.local.models import Work
from tenants.work.selectors import list_work
from tenants.work.services import note_done

BATCHES = "vector_stores/{vector_store_id}/file_batches"


@route("POST", BATCHES)
async def create(request: Request, vector_store_id: str) -> None:
    async with counted(request) as headers:
        body = await read_body(request, ("file_ids", "files", "attributes", "chunking_strategy"))
        files = read_files(body)
        if not files:
            raise wrong("file_ids", _("must name a file of /v1/files"), "missing_required_parameter")
        shown = await step(request, _create, vector_store_id, files)
        await request.answer(orjson.dumps(shown), headers)


def _create(user: User, project_id: UUID, text: str, files: list[WantedFile]) -> dict[str, Any]:
    """Raises the first refusal where no file could be taken."""
    store = get_store(user, project_id, text)
    added = add_files(user, store, files)
    if not added.documents:
        raise added.refused[0]
    pks = dict.fromkeys(str(document.pk) for document in added.documents)
    arguments = {"documents": list(pks), "refused": len(added.refused)}
    return show_batch(note_done(FILE_BATCH, store.pk, arguments=arguments, ordered_by=user.pk))


def _get(user: User, project_id: UUID, text: str, batch_text: str) -> Work:
    """Raises NotFound."""
    store, pk = get_store(user, project_id, text), read_id(batch_text, BATCH)
    row = list_work(FILE_BATCH, store.pk).filter(pk=pk).first() if pk is not None else None
    if row is None:
        raise unknown_batch(batch_text)
    return row


@route("GET", f"{BATCHES}/{{batch_id}}")
async def show_one(request: Request, vector_store_id: str, batch_id: str) -> None:
    shown = await step(request, _show, vector_store_id, batch_id)
    await request.answer(orjson.dumps(shown), [POLL_AFTER])


def _show(user: User, project_id: UUID, text: str, batch_text: str) -> dict[str, Any]:
    return show_batch(_get(user, project_id, text, batch_text))


@route("POST", f"{BATCHES}/{{batch_id}}/cancel")
async def cancel(request: Request, vector_store_id: str, batch_id: str) -> None:
    async with counted(request) as headers:
        shown = await step(request, _cancel, vector_store_id, batch_id)
        await request.answer(orjson.dumps(shown), headers)


def _cancel(user: User, project_id: UUID, text: str, batch_text: str) -> dict[str, Any]:
    """What waits stops at once, what is being read within seconds; what is ready stays."""
    row = _get(user, project_id, text, batch_text)
    waiting = Document.objects.filter(
        collection=UUID(row.object_id), pk__in=row.arguments["documents"], state__in=STATES["in_progress"]
    )
    for document in waiting.select_related("collection"):
        with suppress(Conflict):  # it has ended meanwhile
            cancel_document(actor=user, document=document)
    return show_batch(row)


@route("GET", f"{BATCHES}/{{batch_id}}/files")
async def list_batch(request: Request, vector_store_id: str, batch_id: str) -> None:
    query = ListQuery(request.scope["query_string"])
    await request.answer(orjson.dumps(await step(request, _list, vector_store_id, batch_id, query)))


def _list(user: User, project_id: UUID, text: str, batch_text: str, query: ListQuery) -> dict[str, Any]:
    row = _get(user, project_id, text, batch_text)
    rows = list_files(get_store(user, project_id, text)).filter(pk__in=row.arguments["documents"])
    return page_files(rows, query)
