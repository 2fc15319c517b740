"""Relations that a model reads: how far they are, their order, its end."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from foundation.errors import AtriumError, Conflict, InvalidInput
from rag import relating
from rag.orders import RelationsForm, describe_order
from rag.reach import get_reachable_collection
from rag.rights import require_edit
from rag.views.graph import render_graph


@login_required
@require_http_methods(["GET", "POST"])
def relations(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    """`verb`: order, cancel or retry; a look says how far it is."""
    collection = get_reachable_collection(request.user, collection_id)
    require_edit(request.user, collection, relating.CHANGE)
    if request.method == "GET":
        context = {"collection": collection} | describe_order(request.user, collection)
        return render(request, "rag/_relations.html", context)
    verb = request.POST.get("verb", "")
    if verb == "order":
        form = RelationsForm(request.POST, preview=relating.preview(request.user, collection))
        if not form.is_valid() and set(form.errors) != {"cap"}:
            raise InvalidInput(_("An order states the preview: the model, the passages and the cost."))
        try:
            if form.is_valid():
                form.give(request.user, collection)
        except Conflict as exc:  # it is to be looked at anew
            messages.error(request, exc.message)
            return redirect("rag:collection-graph", collection.pk)
        except AtriumError as exc:
            form.add_refusal(exc)
        if form.errors:
            return render_graph(request, collection, form)
        messages.success(request, _("Ordered. The relations come as the passages are read."))
    elif verb in ("cancel", "retry"):
        act = relating.cancel_relations if verb == "cancel" else relating.retry_relations
        try:
            act(actor=request.user, collection=collection)
        except AtriumError as exc:
            messages.error(request, exc.message)
    else:
        raise InvalidInput(_("There is no such action."), param="verb")
    return redirect("rag:collection-graph", collection.pk)
