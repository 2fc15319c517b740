"""The two administrations: the platform's (operators) and each tenant's.

Covers: nobody without `accounts.access_admin` sees anything; a site answers only in its own world; log-in and
password change go through allauth, whose rate limits would otherwise be walked around; an address that asks
for what a list does not offer leads to the list, and fills no log.
Does not cover: what a person may do inside; that is Django's permissions, asked again by each service.
"""

import time
from functools import update_wrapper
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin.exceptions import DisallowedModelAdminLookup, DisallowedModelAdminToField
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.auth import logout
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST
from unfold.sites import UnfoldAdminSite

from administration.icons import draw_icons
from administration.menu import build_menu
from administration.search import search_site
from administration.start_page import render_cards
from foundation.drafts import note_leaving
from tenants.context import current_scope

WITHHELD_ROUTES = {"view_on_site"}  # it would tell which ids exist


class Choices(AutocompleteJsonView):
    """What a field offers while somebody types: by the names that the model's administration gives in
    `name_choice`, if it has one.
    """

    def get_queryset(self) -> QuerySet:
        related = self.model_admin.list_select_related
        rows = super().get_queryset()
        return rows.select_related(*related) if related else rows

    def serialize_result(self, obj: Model, to_field_name: str) -> dict:
        name = getattr(self.model_admin, "name_choice", str)
        return super().serialize_result(obj, to_field_name) | {"text": name(obj)}


class AtriumAdminSite(UnfoldAdminSite):
    """What both have in common. A subclass names its scope and its settings."""

    scope_kind: str
    way_back: str | Promise  # what the link to the pages outside says
    final_catch_all_view = False  # an address that does not exist is a 404 for everyone
    index_template = "admin/start.html"
    empty_value_display = "–"
    index_title = gettext_lazy("Today")
    site_header = gettext_lazy("Administration")
    site_title = site_header

    def get_urls(self):
        return [
            pattern for pattern in super().get_urls() if getattr(pattern, "name", None) not in WITHHELD_ROUTES
        ]

    def autocomplete_view(self, request: HttpRequest) -> HttpResponseBase:
        return Choices.as_view(admin_site=self)(request)

    def has_permission(self, request: HttpRequest) -> bool:
        scope = current_scope()
        return (
            scope is not None
            and scope.kind == self.scope_kind
            and request.user.is_active
            and request.user.is_staff
        )

    def admin_view(self, view, cacheable: bool = False):
        """Strangers go to the log-in page of the house; people who may not enter get 403 rather than another
        log-in.
        """
        inner = super().admin_view(view, cacheable)

        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not request.user.is_authenticated:
                return _to_login(request.get_full_path())
            if not self.has_permission(request):
                raise PermissionDenied
            try:
                response = inner(request, *args, **kwargs)
            except (DisallowedModelAdminLookup, DisallowedModelAdminToField):
                # Django's answer is a 400 and a traceback; for a filter's wrong value it is this one
                messages.warning(request, _("This address asks for a filter that the page does not have."))
                return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
            if isinstance(response, SimpleTemplateResponse):
                response.add_post_render_callback(draw_icons)
            return response

        return update_wrapper(guarded, inner)

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """No log-in form of its own: allauth's counts the attempts."""
        if not request.user.is_authenticated:
            return _to_login(reverse(f"{self.name}:index"))
        if not self.has_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(reverse(f"{self.name}:index"))

    @method_decorator([never_cache, require_POST])
    def logout(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        logout(request)
        return note_leaving(HttpResponseRedirect(reverse("account_login")))

    def password_change(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("account_change_password"))

    def password_change_done(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        return HttpResponseRedirect(reverse(f"{self.name}:index"))

    def app_index(
        self, request: HttpRequest, app_label: str, extra_context: dict | None = None
    ) -> HttpResponse:
        """The menu replaces the lists by app."""
        return HttpResponseRedirect(reverse(f"{self.name}:index"))

    def index(self, request: HttpRequest, extra_context: dict | None = None) -> TemplateResponse:
        context = {
            **self.each_context(request),
            "title": self.index_title,
            "cards": render_cards(self.name, request),
            **(extra_context or {}),
        }
        request.current_app = self.name
        return TemplateResponse(request, self.index_template, context)

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        return build_menu(self, request)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        theme = getattr(request.user, "theme", "system")
        own = {
            "theme": theme if theme in ("light", "dark") else "auto",
            "account_links": self._account_links(),
            "site_url": "",  # unfold's link would say “View site”
            "admin_site_name": self.name,
        }
        return (
            super().each_context(request)
            | own
            | {"site_header": self.site_header, "site_title": self.site_title}
        )

    def search(self, request: HttpRequest, extra_context: dict | None = None) -> TemplateResponse:
        """The palette's answers. Unfold's own reads every match of every table, and keeps what it found for
        five minutes.
        """
        started = time.monotonic()
        results = search_site(self, request, request.GET.get("s", ""))
        context = {
            "results": results,
            "page_obj": {"count": len(results)},
            "page_counter": 0,
            "execution_time": time.monotonic() - started,
        }
        return TemplateResponse(
            request, "unfold/helpers/command_results.html", context, headers={"HX-Trigger": "search"}
        )

    def _account_links(self) -> list[dict[str, str | Promise]]:
        return [
            {"title": self.way_back, "link": self.site_url},
            {"title": _("Profile, language and appearance"), "link": reverse("accounts:profile")},
            {"title": _("Change password"), "link": reverse("account_change_password")},
        ]


class SystemAdminSite(AtriumAdminSite):
    """The platform's: tenants, plans, shared models, sums. Never what a tenant's people write."""

    settings_name = "UNFOLD_SYSTEM"
    scope_kind = "platform"
    way_back = gettext_lazy("Back to the start page")
    site_header = gettext_lazy("System administration")
    site_title = site_header


class ServiceAdminSite(AtriumAdminSite):
    """A tenant's own: people, keys, models, budgets, audit."""

    settings_name = "UNFOLD_SERVICE"
    scope_kind = "tenant"
    way_back = gettext_lazy("Back to chat")
    site_header = gettext_lazy("AI service administration")
    site_title = site_header


def _to_login(next_path: str) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('account_login')}?{urlencode({'next': next_path})}")


system_admin = SystemAdminSite(name="system")
service_admin = ServiceAdminSite(name="service")
