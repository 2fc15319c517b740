"""The graph of a collection: a picture with its table, and a file for other programs."""

import json
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from rag.graph.graphml import write_graphml
from rag.graph.shown import MOST_EXPORTED_EDGES, Picture, Place, draw, list_statements
from rag.graph.shown import export as export_graph
from rag.models import Collection
from rag.orders import RelationsForm, describe_order
from rag.reach import get_reachable_collection
from rag.views.frame import frame
from tenants.files.names import as_attachment


@login_required
@require_safe
def show(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    return render_graph(request, get_reachable_collection(request.user, collection_id))


def render_graph(
    request: HttpRequest, collection: Collection, form: RelationsForm | None = None
) -> HttpResponse:
    """`form`: an order that was refused."""
    words = " ".join(request.GET.get("q", "").split())[:80]
    picture = draw(collection, words)
    context = frame(request, collection, "rag:collection-graph") | {
        "words": words,
        "rows": [(name, _address(name.place), beside) for name, beside in picture.list_beside()],
        "edge_count": len(picture.edges),
        "picture": json.dumps(_for_the_picture(picture)),
        "statements": [(one, _address(one.place)) for one in list_statements(collection, words)],
    }
    if context["can_edit"]:
        context |= describe_order(request.user, collection, form)
    return render(request, "rag/collection_graph.html", context, status=400 if form else 200)


def _address(place: Place) -> str:
    document = reverse("rag:document-detail", args=[place.document_id])
    return f"{document}?from={place.char_from}&to={place.char_to}"


def _for_the_picture(picture: Picture) -> dict[str, list]:
    """Keys are texts: JavaScript's numbers end at 53 bits."""
    return {
        "nodes": [
            [str(row.key), row.name, row.count, row.is_title, _address(row.place)] for row in picture.names
        ],
        "edges": [[str(edge.source), str(edge.target), edge.weight] for edge in picture.edges],
    }


@login_required
@require_safe
def export(request: HttpRequest, collection_id: UUID) -> HttpResponse:
    collection = get_reachable_collection(request.user, collection_id)
    statements = list_statements(collection, most=MOST_EXPORTED_EDGES)
    written = write_graphml(export_graph(collection), statements)
    response = HttpResponse(written, content_type="application/graphml+xml")
    response["Content-Disposition"] = as_attachment(f"{collection.name}.graphml")
    return response
