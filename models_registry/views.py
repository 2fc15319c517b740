"""Pages of the catalogue."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from models_registry.pages import detail_context, list_context


@login_required
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    return render(request, "models_registry/model_list.html", list_context(request))


@login_required
@require_safe
def model(request: HttpRequest, model_id: UUID) -> HttpResponse:
    return render(request, "models_registry/model_detail.html", detail_context(request, model_id))
