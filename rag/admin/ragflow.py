"""The tenant's account at RAGFlow. The key goes in and never comes out."""

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from administration.columns import Badge, ago
from administration.confirm import confirmed
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin
from administration.sites import service_admin
from models_registry.admin.kept_secret import KeptSecretWidget
from rag.models import RagflowAccount
from rag.ragflow import add_account, change_account, check_account, remove_account

WRITTEN = ("base_url", "embedding_model")
OK, BAD, UNKNOWN = "ok", "bad", "unknown"


class AccountForm(forms.ModelForm):
    secret = forms.CharField(
        label=_("API key"),
        required=False,
        max_length=500,
        widget=KeptSecretWidget(attrs={"autocomplete": "new-password"}),
        help_text=_("Stored encrypted and never shown again. Empty: what is stored stays."),
    )

    class Meta:
        fields = [*WRITTEN, "secret"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "secret" in self.fields:
            self.fields["secret"].widget.person = self.person_id

    person_id = None  # who fills it in


@admin.register(RagflowAccount, site=service_admin)
class RagflowAccountAdmin(AtriumModelAdmin):
    place = Place(MenuGroup.KNOWLEDGE, 30, "cable", "RAGFlow")
    keywords = _("RAGFlow, engine, account, key")
    empty_text = _(
        "RAGFlow is a server of its own that reads and searches documents. With an account there, "
        "collections can be kept by it."
    )
    form = AccountForm
    list_display = ["base_url", "show_key", "show_check", ago("last_checked_at", _("checked"))]
    readonly_fields = ["show_key", "show_check", "last_checked_at", "show_error"]
    actions = ["test"]
    actions_detail = ["test"]

    def get_fieldsets(self, request: HttpRequest, obj: RagflowAccount | None = None):
        if obj is None:
            return [(None, {"fields": ["base_url", "secret", "embedding_model"]})]
        return [
            (None, {"fields": ["base_url", "show_key", "secret", "embedding_model"]}),
            (_("Last check"), {"fields": ["show_check", "last_checked_at", "show_error"]}),
        ]

    def get_form(self, request: HttpRequest, obj=None, change: bool = False, **kwargs):
        form = super().get_form(request, obj, change, **kwargs)
        form.person_id = request.user.pk
        return form

    def create_row(self, request: HttpRequest, form: AccountForm) -> RagflowAccount:
        return add_account(actor=request.user, secret=form.cleaned_data["secret"], **_written(form))

    def change_row(self, request: HttpRequest, row: RagflowAccount, form: AccountForm) -> None:
        secret = form.cleaned_data["secret"]
        change_account(
            actor=request.user, account=row, **_written(form), **({"secret": secret} if secret else {})
        )

    def remove_row(self, request: HttpRequest, row: RagflowAccount) -> None:
        remove_account(actor=request.user, account=row)

    @display(description=_("key stored"), boolean=True)
    def show_key(self, row: RagflowAccount) -> bool:
        return bool(row.secret)

    @display(description=_("last check"), label={OK: "success", BAD: "danger", UNKNOWN: "info"})
    def show_check(self, row: RagflowAccount) -> Badge:
        if row.last_checked_at is None:
            return Badge(UNKNOWN, gettext("not checked yet"))
        return Badge(BAD, gettext("failed")) if row.last_error else Badge(OK, gettext("answered"))

    @display(description=_("last error"))
    def show_error(self, row: RagflowAccount) -> str:
        return row.failure or "–"

    @confirmed(
        description=_("Check connection"),
        icon="activity",
        question=_("Ask RAGFlow whether it answers?"),
        explanation=_("It is asked for its list of datasets, with the stored key. That costs nothing."),
    )
    def test(self, request: HttpRequest, row: RagflowAccount) -> str:
        check_account(actor=request.user, account=row)
        return gettext("RAGFlow answers, and knows the key.")


def _written(form: AccountForm) -> dict[str, str]:
    return {name: form.cleaned_data[name] for name in WRITTEN}
