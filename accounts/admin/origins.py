"""Which web pages may call a tenant with its keys."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.services import allow_web_origin, forbid_web_origin
from administration.columns import ago
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin
from administration.sites import service_admin
from tenants.local.models import WebOrigin


class WebOriginForm(forms.ModelForm):
    class Meta:
        model = WebOrigin
        fields = ["origin"]
        help_texts = {
            "origin": _(
                "Scheme and host of the page as the browser's address bar shows them, such as "
                "https://app.example.org, without a path. Browsers ask for this permission (CORS); programs "
                "on servers need none."
            )
        }


@admin.register(WebOrigin, site=service_admin)
class WebOriginAdmin(AtriumModelAdmin):
    place = Place(MenuGroup.PEOPLE, 50, "globe")
    keywords = _("CORS, browser, cross-origin, web page, domain")
    form = WebOriginForm
    empty_text = _(
        "Web pages may not call this service until you list where they come from. Whoever can open such a "
        "page can read the key in it: give it a key with few models and a small budget."
    )
    list_display = ["origin", ago("created_at", _("added"))]
    search_fields = ["origin"]
    fields = ["origin"]

    def create_row(self, request: HttpRequest, form: forms.ModelForm) -> WebOrigin:
        return allow_web_origin(actor=request.user, origin=form.cleaned_data["origin"])

    def remove_row(self, request: HttpRequest, row: WebOrigin) -> None:
        forbid_web_origin(actor=request.user, row=row)
