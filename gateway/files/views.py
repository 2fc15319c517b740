"""`/v1/files`. Files are a person's own: a key acts in the name of the person whose it is."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from foundation.errors import AtriumError
from foundation.http_server import HEARERS
from gateway.files.arrival import Arrival
from gateway.files.places import place_for
from gateway.files.shapes import (
    PURPOSES,
    ListQuery,
    expires_at,
    read_expiry,
    read_id,
    read_purpose,
    show_file,
    unknown_file,
)
from gateway.files.steps import on_database, on_disk
from gateway.http import ClientGone
from gateway.request import Request
from gateway.routes import route
from gateway.steps.admit import admit_unread
from tenants.files import selectors, services
from tenants.files.limits import MOST_FILE_BYTES, bound
from tenants.files.models import File
from tenants.files.names import as_attachment
from tenants.files.streams import Place, read_blob
from tenants.files.uses import delete_own_file

logger = logging.getLogger(__name__)
Headers = list[tuple[bytes, bytes]]


@asynccontextmanager
async def counted(request: Request) -> AsyncIterator[Headers]:
    """Count what writes as a request; gives the headers that tell of limits, which refusals have too."""
    headers = await admit_unread(request.principal, request.snapshot, request.gateway.limiter)
    try:
        yield headers
    except AtriumError as exc:
        exc.headers = [*exc.headers, *headers]
        raise


@route("POST", "files")
async def create_file(request: Request) -> None:
    async with counted(request) as headers:
        principal = request.principal
        most = bound(MOST_FILE_BYTES, request.snapshot.largest_file_bytes)
        begin = partial(services.begin_blob, owner_id=principal.user_id)
        async with Arrival(request, file_field="file", most_bytes=most, begin=begin) as arrival:
            arrived = await arrival.receive()
            purpose = read_purpose(arrived.fields.get("purpose"))
            anchor, seconds = (arrived.fields.get(f"expires_after[{name}]") for name in ("anchor", "seconds"))
            lasts_s = read_expiry(anchor, seconds, purpose)
            file = await on_database(
                principal.tenant,
                services.finish_file,
                arrived.written,
                name=arrived.name,
                declared_type=arrived.declared_type,
                purpose=purpose,
                owner_id=principal.user_id,
                expires_at=expires_at(lasts_s),
            )
        await request.answer(orjson.dumps(show_file(file)), headers)


@route("GET", "files")
async def list_files(request: Request) -> None:
    query = ListQuery(request.scope["query_string"])
    rows = await on_database(request.principal.tenant, _read_page, request.principal.user_id, query)
    page, has_more = rows[: query.limit], len(rows) > query.limit
    data = [show_file(row) for row in page]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": "", "last_id": ""}
    await request.answer(orjson.dumps({"object": "list", "data": data, **ends, "has_more": has_more}))


def _read_page(owner_id: UUID, query: ListQuery) -> list[File]:
    """One row more than asked for, where there is one. Ids are in the order of making."""
    rows = selectors.list_own_files(owner_id, query.purposes)
    if query.order == "asc":
        rows = rows.order_by("pk")
    if query.after is not None:
        rows = rows.filter(pk__gt=query.after) if query.order == "asc" else rows.filter(pk__lt=query.after)
    return list(rows[: query.limit + 1])


@route("GET", "files/{file_id}")
async def show_one(request: Request, file_id: str) -> None:
    await request.answer(orjson.dumps(show_file(await _find(request, file_id))))


@route("DELETE", "files/{file_id}")
async def delete_file(request: Request, file_id: str) -> None:
    async with counted(request) as headers:
        file = await _find(request, file_id)
        shown: dict[str, Any] = {"id": f"file-{file.pk.hex}", "object": "file", "deleted": True}
        await on_database(request.principal.tenant, delete_own_file, request.principal.user_id, file)
        await request.answer(orjson.dumps(shown), headers)


@route("GET", "files/{file_id}/content")
async def show_content(request: Request, file_id: str) -> None:
    """Always as something to keep, of no type that a browser would show."""
    file = await _find(request, file_id)
    headers = [
        (b"content-type", b"application/octet-stream"),
        (b"content-length", b"%d" % file.size_bytes),
        (b"content-disposition", as_attachment(file.name).encode()),
    ]
    slug = request.principal.tenant
    place = await on_database(slug, selectors.get_place, file.blob_id)
    with place_for(slug):
        await _send_content(request, place, headers)


async def _send_content(request: Request, place: Place, headers: Headers) -> None:
    slug, pieces = request.principal.tenant, read_blob(place)
    is_wanted = request.scope["method"] != "HEAD"
    try:
        piece = await on_disk(slug, next, pieces, b"")
        start = {"type": "http.response.start", "status": 200, "headers": request.visit.headers(headers)}
        await request.send_in_time(start)
        try:
            while piece and is_wanted:
                _check_client(request)
                await request.send_in_time({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await on_disk(slug, next, pieces, b"")
        except AtriumError:
            raise ClientGone from None  # it was logged; the answer breaks off, since its beginning has left
        except Exception:
            logger.exception("a file of %s cannot be read to its end", slug)
            raise ClientGone from None
        await request.send_in_time({"type": "http.response.body", "body": b""})
    finally:
        await on_disk(slug, pieces.close)


def _check_client(request: Request) -> None:
    hearers = request.scope.get(HEARERS)
    if hearers is not None and hearers.is_gone:
        raise ClientGone


async def _find(request: Request, text: str) -> File:
    """Raises NotFound."""
    file_id, principal = read_id(text, "file-"), request.principal
    file = None
    if file_id is not None:
        file = await on_database(
            principal.tenant, selectors.find_own_file, principal.user_id, PURPOSES, file_id
        )
    if file is None:
        raise unknown_file(text)
    return file
