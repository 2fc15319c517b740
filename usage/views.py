"""Pages of usage."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from usage.pages import my_usage_context


@login_required
@require_safe
def my_usage(request: HttpRequest) -> HttpResponse:
    context = my_usage_context(request.user, request.GET.get("days", ""), request.GET.get("exact") == "yes")
    return render(request, "usage/my_usage.html", context)
