"""Finding lists and objects from the palette (Ctrl K): what the person may see, a few of each kind."""

from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

MIN_CHARS, MAX_CHARS, PER_KIND = 2, 80, 6


def search_site(site, request: HttpRequest, text: str) -> list[SearchResult]:
    """Lists whose name or keywords hold the text, then objects of those ModelAdmins that say `in_palette`."""
    text = text.strip()[:MAX_CHARS]
    if len(text) < MIN_CHARS:
        return []
    results: list[SearchResult] = []
    for model, model_admin in site._registry.items():
        if not model_admin.has_view_or_change_permission(request):
            continue
        name, opts = model_admin.list_title(), model._meta
        if text.lower() in f"{name}\n{model_admin.keywords}".lower():
            link = reverse(f"{site.name}:{opts.app_label}_{opts.model_name}_changelist")
            results.insert(0, SearchResult(title=name, description="", link=link, icon="list"))
        if getattr(model_admin, "in_palette", False):
            results += _search_rows(site, request, model_admin, text)
    return results


def _search_rows(site, request: HttpRequest, model_admin, text: str) -> list[SearchResult]:
    opts = model_admin.model._meta
    found, may_repeat = model_admin.get_search_results(request, model_admin.get_queryset(request), text)
    rows = (found.distinct() if may_repeat else found)[:PER_KIND]
    name = f"{site.name}:{opts.app_label}_{opts.model_name}_change"
    icon = model_admin.place.icon if model_admin.place else "list"
    return [
        SearchResult(
            title=str(row),
            description=str(model_admin.opts.verbose_name),
            link=reverse(name, args=[row.pk]),
            icon=icon,
        )
        for row in rows
    ]
