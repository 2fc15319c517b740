"""Collections: the list, a new one, who may use one, how it is read, and its end."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from foundation.errors import AtriumError, Conflict
from rag.access import AccessForm, describe_access
from rag.changes import CHANGE, change_collection
from rag.embedders import find_dimensions, list_embedders
from rag.engines.ragflow.account import find_account
from rag.forms import CollectionForm, values_of
from rag.handing_over import HandOverForm
from rag.intake import rebuild_collection
from rag.listing import list_shelves, with_figures
from rag.models import Collection
from rag.reach import get_reachable_collection
from rag.relating import check_reader, list_readers
from rag.rights import require_edit
from rag.services import create_collection, delete_collection
from rag.status import describe_index
from rag.views.frame import frame
from rag.vision import list_vision_models

MAY_SHARE = "rag.add_collection"
OWN, SHARED = "own", "shared"
PER_PAGE = 50


@login_required
@require_safe
def show_list(request: HttpRequest) -> HttpResponse:
    words = " ".join(request.GET.get("q", "").split())[:200]
    lists = list_shelves(request.user, words)
    chosen = request.GET.get("list", "")
    if chosen not in lists:
        chosen = OWN if lists[OWN] or not lists[SHARED] else SHARED
    labels = {OWN: _("My collections"), SHARED: _("Shared with me")}
    query = request.GET.copy()
    query.pop("page", None)
    tabs = []
    for name, label in labels.items():
        query["list"] = name
        tabs.append(
            {
                "url": f"?{query.urlencode()}",
                "label": label,
                "is_current": name == chosen,
                "count": intcomma(len(lists[name])),
            }
        )
    page = Paginator(lists[chosen], PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "shelves": with_figures(list(page.object_list)),
        "tabs": tabs,
        "list": chosen,
        "words": words,
        "count": sum(len(rows) for rows in lists.values()),
    }
    return render(request, "rag/collection_list.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    may_share = request.user.has_perm(MAY_SHARE)
    form = CollectionForm(
        request.POST if request.method == "POST" else None,
        models=list_embedders(request.user, request.tenant),
        vision_models=list_vision_models(request.user, request.tenant),
        may_share=may_share,
        is_new=True,
        has_ragflow=find_account() is not None,
    )
    if request.method == "POST" and form.is_valid():
        given = dict(form.cleaned_data)
        given.pop("visibility", None)
        try:
            row = create_collection(
                actor=request.user,
                owner_id=None if form.is_shared else request.user.pk,
                dimensions=find_dimensions(request.user, given["embedding_model"]),
                **given,
            )
            messages.success(
                request, _("“%(name)s” is ready: bring in its first documents.") % {"name": row.name}
            )
            return redirect("rag:collection-detail", row.pk)
        except (AtriumError, ValidationError) as exc:
            form.add_refusal(exc)
    status = 400 if form.errors else 200
    return render(
        request, "rag/collection_create.html", {"form": form, "may_share": may_share}, status=status
    )


@login_required
@require_http_methods(["GET", "POST"])
def settings(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = get_reachable_collection(request.user, collection_id)
    require_edit(request.user, collection, CHANGE)
    form = _settings_form(request, collection, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            _save(request, collection, form)
            return redirect(request.path)
        except (AtriumError, ValidationError) as exc:
            form.add_refusal(exc)
    return _show_settings(request, collection, form)


def _settings_form(
    request: HttpRequest, collection: Collection, given: QueryDict | None = None
) -> CollectionForm:
    return CollectionForm(
        given,
        initial=values_of(collection),
        models=list_embedders(request.user, request.tenant, collection.embedding_model),
        vision_models=list_vision_models(
            request.user, request.tenant, collection.data_policy, collection.vision_model
        ),
        may_share=False,
        is_new=False,
        has_ragflow=find_account() is not None,
        readers=list(list_readers(request.user, collection.data_policy, collection.relations_model)),
    )


def _show_settings(
    request: HttpRequest, collection: Collection, form: CollectionForm, refused: HandOverForm | None = None
) -> HttpResponse:
    is_own = collection.owner_id == request.user.pk
    new = HandOverForm(may_share=request.user.has_perm(MAY_SHARE)) if is_own else None
    context = frame(request, collection, "rag:collection-settings") | {
        "form": form,
        "hand_over": refused or new,
        "index": describe_index(collection),
        "question_count": collection.questions.count(),
    }
    status = 400 if form.errors or refused else 200
    return render(request, "rag/collection_settings.html", context, status=status)


@transaction.atomic
def _save(request: HttpRequest, collection: Collection, form: CollectionForm) -> None:
    given = form.cleaned_data
    if given["relations_model"] != collection.relations_model:
        check_reader(request.user, given["relations_model"], given["data_policy"])
    needs_index = change_collection(
        actor=request.user,
        collection=collection,
        dimensions=find_dimensions(request.user, given["embedding_model"]),
        **given,
    )
    if needs_index and collection.documents.exists():
        collection.refresh_from_db()
        rebuild_collection(actor=request.user, collection=collection)
        messages.success(
            request, _("Saved. A new index is being made beside the old one, which answers until then.")
        )
    else:
        messages.success(request, _("Saved."))


@login_required
@require_POST
def hand_over(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = get_reachable_collection(request.user, collection_id)
    require_edit(request.user, collection, CHANGE)
    form = HandOverForm(request.POST, may_share=request.user.has_perm(MAY_SHARE))
    if form.is_valid():
        try:
            row = form.hand_over(request.user, collection)
        except (AtriumError, ValidationError) as exc:
            form.add_refusal(exc)
        else:
            messages.success(request, _("“%(name)s” is handed over.") % {"name": row.name})
            return redirect("rag:collection-list")
    return _show_settings(request, collection, _settings_form(request, collection), form)


@login_required
@require_http_methods(["GET", "POST"])
def rebuild(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    """Makes the index anew; a look at it says how far that is."""
    collection = get_reachable_collection(request.user, collection_id)
    require_edit(request.user, collection, CHANGE)
    if request.method == "GET":
        context = {"collection": collection, "index": describe_index(collection)}
        return render(request, "rag/_index.html", context)
    rebuild_collection(actor=request.user, collection=collection)
    messages.success(request, _("A new index is being made beside the old one, which answers until then."))
    return redirect("rag:collection-settings", collection.pk)


@login_required
@require_POST
def delete(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = get_reachable_collection(request.user, collection_id)
    require_edit(request.user, collection, CHANGE)
    delete_collection(actor=request.user, collection=collection)
    messages.success(request, _("“%(name)s” is deleted.") % {"name": collection.name})
    return redirect("rag:collection-list")


@login_required
@require_http_methods(["GET", "POST"])
def access(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = get_reachable_collection(request.user, collection_id)
    form = AccessForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        if "revoke" in request.POST:
            try:
                form.revoke(request.user, collection, request.POST["revoke"])
                messages.success(request, _("The right is taken back."))
            except Conflict as exc:
                messages.error(request, exc.message)
            return redirect("rag:collection-access", collection.pk)
        if form.is_valid():
            try:
                form.give(request.user, collection)
                messages.success(request, _("Saved. It holds from now on."))
                return redirect("rag:collection-access", collection.pk)
            except (AtriumError, ValidationError) as exc:
                form.add_refusal(exc)
    context = frame(request, collection, "rag:collection-access") | describe_access(request.user, collection)
    status = 400 if form.errors else 200
    return render(request, "rag/collection_access.html", context | {"form": form}, status=status)
