"""Pages of the catalogue."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from models_registry.pages import detail_context, find_for_palette, list_context


@login_required
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """The catalogue; with `?as=options`, what the palette finds in it."""
    if request.GET.get("as") == "options":
        return render(request, "models_registry/_model_options.html", {"entries": find_for_palette(request)})
    return render(request, "models_registry/model_list.html", list_context(request))


@login_required
@require_safe
def model(request: HttpRequest, model_id: UUID) -> HttpResponse:
    return render(request, "models_registry/model_detail.html", detail_context(request, model_id))
