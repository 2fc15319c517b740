"""Large files in parts, of the pages' module `static/js/parts.js`: all answers are JSON."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from foundation.errors import InvalidInput
from rag import uploads
from rag.models import Collection
from rag.reach import get_reachable_collection
from rag.views.documents import say_arrival
from tenants.files.in_parts import complete_upload
from tenants.files.models import Upload
from tenants.files.uploads import list_parts


@login_required
@require_POST
def begin(request: HttpRequest) -> HttpResponse:
    size = request.POST.get("size", "")
    if not (size.isascii() and size.isdigit() and len(size) < 16):
        raise InvalidInput(_("Say how many bytes the file has."), param="size")
    upload = uploads.begin(
        actor=request.user,
        collection=_collection_of(request),
        name=request.POST.get("name", ""),
        declared_type=request.POST.get("type", ""),
        size_bytes=int(size),
    )
    return JsonResponse(_show(request, upload), status=201)


def _collection_of(request: HttpRequest) -> Collection | None:
    if not (text := request.POST.get("collection", "")):
        return None
    return get_reachable_collection(request.user, _read_id(text, "collection"))


def _read_id(text: str, param: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(_("“%(value)s” is no id.") % {"value": text[:40]}, param=param) from None


def _show(request: HttpRequest, upload: Upload) -> dict[str, Any]:
    """`parts`: those that are here, with the SHA-256 of each; `file`: of a whole that waits."""
    waiting = uploads.find_waiting(request.user, upload.file_id)
    return {
        "id": str(upload.pk),
        "state": upload.state_at(timezone.now()),
        "part_bytes": uploads.PART_BYTES,
        "parts": [{"id": str(part.id), "sha256": part.sha256} for part in list_parts(upload)],
        "file": str(waiting.pk) if waiting else None,
    }


@login_required
@require_safe
def show(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    return JsonResponse(_show(request, uploads.get_upload(request.user, upload_id)))


@login_required
@require_POST
def add_part(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    upload = uploads.get_upload(request.user, upload_id)
    if "data" not in request.FILES:
        raise InvalidInput(_("Choose a file first."), param="data")
    part = uploads.take_part(actor=request.user, upload=upload, uploaded=request.FILES["data"])
    return JsonResponse({"id": str(part.id)}, status=201)


@login_required
@require_POST
def complete(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    upload = uploads.get_upload(request.user, upload_id)
    collection = _collection_of(request)
    part_ids = [_read_id(text, "parts") for text in request.POST.get("parts", "").split(",")]
    upload = complete_upload(owner_id=request.user.pk, upload_id=upload.pk, part_ids=part_ids)
    if collection is None:
        return JsonResponse(_show(request, upload), status=201)
    taken = uploads.bring_in(
        actor=request.user, collection=collection, upload=upload, path=request.POST.get("path", "")
    )
    return JsonResponse(say_arrival(taken.document, is_new=taken.is_new), status=201)


@login_required
@require_POST
def cancel(request: HttpRequest, upload_id: UUID) -> HttpResponse:
    uploads.cancel(actor=request.user, upload=uploads.get_upload(request.user, upload_id))
    return HttpResponse(status=204)
