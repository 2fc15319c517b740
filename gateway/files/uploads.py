"""`/v1/uploads`: a large file in parts, which may come at once and again, and are put together at the end."""

import asyncio
from functools import partial
from typing import Any
from uuid import UUID

import orjson

from foundation.errors import InvalidInput
from foundation.told import gettext as _
from gateway.files.arrival import Arrival
from gateway.files.places import place_for
from gateway.files.shapes import read_expiry, read_id, read_purpose, show_part, show_upload
from gateway.files.steps import on_database, on_disk
from gateway.files.views import counted
from gateway.http import read_json_body
from gateway.operations.body import check, load_any_object, wrong
from gateway.request import Request
from gateway.routes import route
from tenants.files import services, uploads
from tenants.files.limits import MOST_PART_BYTES, MOST_UPLOAD_BYTES, bound
from tenants.files.services import TOUCH_EVERY_S
from tenants.files.streams import Written, remove_bytes, too_large
from tenants.files.uploads import COPY_BYTES, Assembler, Assembly


@route("POST", "uploads")
async def create_upload(request: Request) -> None:
    async with counted(request) as headers:
        body = load_any_object(await read_json_body(request.scope, request.receive))
        for name in ("filename", "mime_type", "purpose"):
            check(body, name, str, required=True)
        check(body, "bytes", int, required=True)
        check(body, "expires_after", dict)
        purpose = read_purpose(body["purpose"])
        expiry = body.get("expires_after") or {}
        most = bound(MOST_UPLOAD_BYTES, request.snapshot.largest_file_bytes)
        if body["bytes"] < 1:
            raise wrong("bytes", _("must be at least 1"))
        if body["bytes"] > most:
            raise InvalidInput(str(too_large(most).message), code="file_too_large", param="bytes")
        upload = await on_database(
            request.principal.tenant,
            uploads.create_upload,
            owner_id=request.principal.user_id,
            name=body["filename"],
            declared_type=body["mime_type"],
            purpose=purpose,
            size_bytes=body["bytes"],
            file_expires_after_s=read_expiry(expiry.get("anchor"), expiry.get("seconds"), purpose),
        )
        await request.answer(orjson.dumps(show_upload(upload)), headers)


@route("POST", "uploads/{upload_id}/parts")
async def create_part(request: Request, upload_id: str) -> None:
    async with counted(request) as headers:
        whose = _whose(request, upload_id)
        async with Arrival(
            request,
            file_field="data",
            most_bytes=MOST_PART_BYTES,
            begin=lambda size_bytes: uploads.begin_part(size_bytes=size_bytes, **whose),
            unsaid_bytes=MOST_PART_BYTES,
        ) as arrival:
            arrived = await arrival.receive()
            part = await on_database(
                request.principal.tenant, uploads.finish_part, written=arrived.written, **whose
            )
        await request.answer(orjson.dumps(show_part(part)), headers)


@route("POST", "uploads/{upload_id}/cancel")
async def cancel_upload(request: Request, upload_id: str) -> None:
    async with counted(request) as headers:
        upload = await on_database(
            request.principal.tenant, uploads.cancel_upload, **_whose(request, upload_id)
        )
        await request.answer(orjson.dumps(show_upload(upload)), headers)


@route("POST", "uploads/{upload_id}/complete")
async def complete_upload(request: Request, upload_id: str) -> None:
    """Asking again gives the same answer, also where the first was lost."""
    async with counted(request) as headers:
        whose, slug = _whose(request, upload_id), request.principal.tenant
        body = load_any_object(await read_json_body(request.scope, request.receive))
        check(body, "md5", str)
        part_ids = _read_part_ids(body)
        assembly = await on_database(slug, uploads.begin_assembly, part_ids=part_ids, **whose)
        if assembly is not None:
            with place_for(slug):
                await _assemble(slug, assembly, body.get("md5") or "", whose)
        upload = await on_database(slug, uploads.get_own_upload, **whose)
        await request.answer(orjson.dumps(show_upload(upload, upload.file)), headers)


async def _assemble(slug: str, assembly: Assembly, md5: str, whose: dict[str, UUID]) -> None:
    """Also while the client has gone, who asks again and then finds it done."""
    try:
        written = await _put_together(slug, assembly, md5)
        await on_database(slug, uploads.finish_upload, written=written, **whose)
    except BaseException:
        if not await on_database(slug, services.abandon_blob, assembly.place.id):
            await on_disk(slug, remove_bytes, assembly.place.id)
        raise


async def _put_together(slug: str, assembly: Assembly, md5: str) -> Written:
    loop = asyncio.get_running_loop()
    touched_s, assembler = loop.time(), await on_disk(slug, Assembler, assembly)
    try:
        await on_database(slug, services.touch_blob, assembly.place.id)
        while await on_disk(slug, assembler.copy, COPY_BYTES):
            if loop.time() - touched_s > TOUCH_EVERY_S:
                await on_database(slug, services.touch_blob, assembly.place.id)
                touched_s = loop.time()
        return await on_disk(slug, partial(assembler.close, md5))
    except BaseException:
        await on_disk(slug, assembler.abort)
        raise


def _whose(request: Request, text: str) -> dict[str, UUID]:
    """Raises NotFound."""
    upload_id = read_id(text, "upload_")
    if upload_id is None:
        raise uploads.unknown_upload(text)
    return {"owner_id": request.principal.user_id, "upload_id": upload_id}


def _read_part_ids(body: dict[str, Any]) -> list[UUID]:
    check(body, "part_ids", list, required=True)
    found: list[UUID] = []
    for text in body["part_ids"]:
        part_id = read_id(text, "part_") if isinstance(text, str) else None
        if part_id is None:
            raise InvalidInput(
                _("This upload has no part “%(id)s”.") % {"id": str(text)[:80]},
                code="part_not_found",
                param="part_ids",
            )
        found.append(part_id)
    if not found or len(found) > uploads.MAX_PARTS:
        raise wrong("part_ids", _("must name between 1 and %(limit)s parts") % {"limit": uploads.MAX_PARTS})
    return found
