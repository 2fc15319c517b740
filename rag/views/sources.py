"""Where something stands: a document's text or pages with a passage marked, its original, its passages."""

import json
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from foundation.errors import NotFound
from rag import sources
from rag.models import Document
from rag.original import send_original
from rag.reach import get_reachable_document
from rag.shown import PDF, show_documents
from rag.views.frame import Context, frame
from tenants.files.models import Blob

PASSAGES_PER_PAGE = 50


def _is_pdf(document: Document) -> bool:
    return document.file is not None and document.file.sniffed_type == PDF


def _page_of(request: HttpRequest, document: Document, span: sources.Span | None) -> int:
    asked = request.GET.get("page", "")
    most = document.page_count or 100_000
    if asked.isascii() and asked.isdigit() and 1 <= int(asked[:9]) <= most:
        return int(asked[:9])
    return sources.find_page(document, span)


def _source_context(request: HttpRequest, document: Document) -> Context:
    span = sources.read_span(request.GET)
    return frame(request, document.collection, "") | {
        "document": document,
        "shown": show_documents([document])[0],
        "span": span,
        "is_pdf": _is_pdf(document),
        "pdf_page": _page_of(request, document, span),
        "boxes": json.dumps(sources.list_boxes(document, span) if _is_pdf(document) else []),
    }


@login_required
@require_safe
def show_document(request: HttpRequest, document_id: UUID) -> HttpResponse:
    document = get_reachable_document(request.user, document_id)
    context = _source_context(request, document)
    view = request.GET.get("view", "")
    is_drawn = context["is_pdf"] and document.state != Document.State.FAILED
    shows_pages = is_drawn and view != "text"
    context["is_broken"] = view == "text" and "broken" in request.GET
    if not shows_pages:
        pages = Paginator(document.blocks.order_by("position"), sources.PER_PART)
        part = pages.get_page(request.GET.get("part") or sources.find_part(document, context["span"]))
        context["part"] = part
        context["blocks"] = list(sources.mark_blocks(list(part.object_list), context["span"]))
    else:
        query = request.GET.copy()
        query["view"], query["broken"] = "text", "1"
        context["text_url"] = f"?{query.urlencode()}"
    return render(request, "rag/document_detail.html", context | {"shows_pages": shows_pages})


@login_required
@require_safe
def panel(request: HttpRequest) -> HttpResponse:
    """A source beside an answer: `?document=&from=&to=&page=`."""
    try:
        document = get_reachable_document(request.user, UUID(request.GET.get("document", "")))
    except (NotFound, ValueError):
        if request.htmx:
            return render(request, "rag/_source_gone.html", status=404)
        raise NotFound(_("There is no such document, or you may not read it.")) from None
    context = _source_context(request, document)
    context["blocks"] = sources.list_around(document, context["span"])
    return render(request, "rag/_source.html", context)


@login_required
@require_safe
def show_passages(request: HttpRequest, document_id: UUID) -> HttpResponse:
    document = get_reachable_document(request.user, document_id)
    page = Paginator(sources.list_passages(document), PASSAGES_PER_PAGE).get_page(request.GET.get("page"))
    context = frame(request, document.collection, "") | {
        "document": document,
        "shown": show_documents([document])[0],
        "is_pdf": _is_pdf(document),
        "on_passages": True,
        "page": page,
    }
    return render(request, "rag/document_passages.html", context)


@login_required
@require_safe
def send_file(request: HttpRequest, document_id: UUID) -> HttpResponseBase:
    document = get_reachable_document(request.user, document_id)
    if document.file is None:
        raise NotFound(_("This document came without a file."))
    try:
        return send_original(document.file, request.tenant.slug, request.headers.get("Range", ""))
    except (Blob.DoesNotExist, FileNotFoundError):
        raise NotFound(_("The file of this document is gone.")) from None
