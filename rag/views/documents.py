"""The documents of a collection: the list, what is brought in, and what is done with many at once."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from foundation.errors import AtriumError, InvalidInput
from rag import actions, arrivals, intake, uploads
from rag.filters import DocumentFilter, address
from rag.forms import AddressForm, RefusedForm, TextForm
from rag.listing import count_states, list_documents, pick_documents
from rag.models import Collection, Document
from rag.reach import get_reachable_collection
from rag.rights import require_edit
from rag.shown import show_documents
from rag.views.frame import Context, frame
from rag.vision import say_page_reader
from tenants.files.limits import say_size

PER_PAGE = 50
MOST_PICKED = 1_000


@login_required
@require_safe
def show(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = get_reachable_collection(request.user, collection_id)
    template = "rag/_documents.html" if request.htmx else "rag/collection_detail.html"
    return render(request, template, _list_context(request, collection))


def _list_context(request: HttpRequest, collection: Collection, **forms: RefusedForm) -> Context:
    form = DocumentFilter(request.GET)
    rows = list_documents(
        collection,
        words=form.data["q"],
        state=form.data["state"],
        source=form.data["source"],
        sort=form.data["sort"],
    )
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    shown = show_documents(page.object_list)
    states = count_states(collection)
    count = sum(states.values())
    applied = form.list_applied(request.GET)
    most_bytes = arrivals.get_most_bytes()
    return frame(request, collection, "rag:collection-detail") | {
        "page": page,
        "documents": shown,
        "count": count,
        "form": form,
        "applied": applied,
        "clear_url": address(request.GET, without=("q", "state", "source", "page")),
        "count_text": _say_count(page.paginator.count if applied else None, count),
        "sort": form.data["sort"],
        "query": request.GET.urlencode(),
        "most_bytes": most_bytes,
        "most_text": say_size(most_bytes),
        "parts_from": uploads.FROM_BYTES,
        "scans_text": say_page_reader(collection),
        "text_form": forms.get("text_form") or TextForm(auto_id="text_%s"),
        "address_form": forms.get("address_form") or AddressForm(auto_id="address_%s"),
        **_progress_context(states, shown),
    }


def _say_count(shown: int | None, count: int) -> str:
    """`shown`: None where no filter leaves any out."""
    texts = {"shown": intcomma(shown or 0), "counter": intcomma(count)}
    if shown is None:
        return ngettext("%(counter)s document", "%(counter)s documents", count) % texts
    return ngettext("%(shown)s of %(counter)s document", "%(shown)s of %(counter)s documents", count) % texts


def _progress_context(states: dict[str, int], shown: list[Any]) -> Context:
    working = states.get(Document.State.WAITING, 0) + states.get(Document.State.READING, 0)
    unfinished = [one.row.pk for one in shown if one.is_unfinished]
    return {
        "working_count": working,
        "failed_count": states.get(Document.State.FAILED, 0),
        "watched": ",".join(str(pk) for pk in unfinished),
        "is_working": bool(working),
    }


@login_required
@require_safe
def progress(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    """What has become of the documents that a page shows as unfinished."""
    collection = get_reachable_collection(request.user, collection_id)
    shown = show_documents(pick_documents(collection, _read_ids(request.GET.get("ids", "").split(","))))
    context = frame(request, collection, "rag:collection-detail") | {"documents": shown, "is_update": True}
    return render(request, "rag/_progress.html", context | _progress_context(count_states(collection), shown))


def _read_ids(texts: list[str]) -> list[UUID]:
    found = []
    for text in texts[:MOST_PICKED]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


@login_required
@require_POST
def upload(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    """One file with its progress, of the page's module; or some, of a form without scripts."""
    collection = get_reachable_collection(request.user, collection_id)
    require_edit(request.user, collection, "rag.add_document")
    files = request.FILES.getlist("file")
    if not files:
        raise InvalidInput(_("Choose a file first."), param="file")
    if "json" in request.headers.get("Accept", ""):
        document, is_new = arrivals.take_file(
            actor=request.user,
            collection=collection,
            uploaded=files[0],
            path=request.POST.get("path", ""),
        )
        return JsonResponse(say_arrival(document, is_new=is_new), status=201)
    for file in files:
        try:
            arrivals.take_file(actor=request.user, collection=collection, uploaded=file)
        except AtriumError as exc:
            messages.error(request, f"{file.name}: {exc.message}")
    return redirect("rag:collection-detail", collection.pk)


def say_arrival(document: Document | None, *, is_new: bool) -> dict[str, Any]:
    """Of a file that came in, for the page's module. None: a copy of one that was here."""
    note = ""
    if document is None:
        note = _("This file is here already.")
    elif not is_new:
        note = _("This file is here already, as “%(title)s”.") % {"title": document.title}
    return {"id": str(document.pk) if document else None, "is_new": is_new, "note": note}


@login_required
@require_POST
def paste(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    form = TextForm(request.POST, auto_id="text_%s")
    return _bring(request, collection_id, "text_form", form, intake.add_text)


@login_required
@require_POST
def fetch(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    form = AddressForm(request.POST, auto_id="address_%s")
    return _bring(request, collection_id, "address_form", form, intake.add_url)


def _bring(request: HttpRequest, collection_id: UUID, name: str, form: RefusedForm, add: Any) -> HttpResponse:
    collection = get_reachable_collection(request.user, collection_id)
    require_edit(request.user, collection, "rag.add_document")
    if form.is_valid():
        try:
            document, is_new = add(actor=request.user, collection=collection, **form.cleaned_data)
            text = _("“%(title)s” is here.") if is_new else _("“%(title)s” was here already.")
            messages.success(request, text % {"title": document})
            return redirect("rag:collection-detail", collection.pk)
        except (AtriumError, ValidationError) as exc:
            form.add_refusal(exc)
    context = _list_context(request, collection, **{name: form})
    return render(request, "rag/collection_detail.html", context, status=400)


@login_required
@require_POST
def act(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    """Tries again, stops or deletes: `one` (“verb:id”), else the chosen documents."""
    collection = get_reachable_collection(request.user, collection_id)
    given = request.POST.get("one") or request.POST.get("verb", "")
    verb, _colon, one = given.partition(":")
    verb = verb or request.POST.get("action", "")
    ids = _read_ids([one] if one else request.POST.getlist("documents"))
    said = actions.act_on(request.user, verb, pick_documents(collection, ids))
    if request.htmx:
        return render(request, "rag/_documents.html", _list_context(request, collection) | {"said": said})
    messages.info(request, said)
    query = request.GET.urlencode()
    place = reverse("rag:collection-detail", args=[collection.pk])
    return redirect(f"{place}?{query}" if query else place)
