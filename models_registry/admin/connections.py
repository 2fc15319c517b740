"""Connections, as both administrations show them. The API key goes in and never comes out."""

from collections.abc import Iterator
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from administration.columns import Badge, ago
from administration.confirm import confirmed
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin
from foundation.errors import UpstreamError
from models_registry.admin.kept_secret import KEPT_S, KeptSecretWidget
from models_registry.admin.listed_prices import bills_in
from models_registry.providers.openai_compatible import LOCAL, REMOTE
from models_registry.providers.openai_compatible.prices import CURRENCY
from models_registry.providers.table import find_provider
from models_registry.selectors import list_unpriced
from models_registry.services import (
    SyncReport,
    add_connection,
    remove_connection,
    sync_catalogue,
    test_connection,
    update_connection,
)
from models_registry.services.catalogue import USUAL_OUTPUT_TOKENS
from models_registry.services.connections import TIMEOUTS
from models_registry.worlds import Connection

HOW_IT_IS_ASKED = (*TIMEOUTS, "token_limit_name")
WRITTEN = ("name", "kind", "base_url", "location", "no_storage", "is_enabled", *HOW_IT_IS_ASKED)
OK, BAD, UNKNOWN = "ok", "bad", "unknown"
MAX_NAMES = 10  # that one message tells


def say_default(timeout: str, kind: str | None) -> str:
    """How long is waited where nothing is entered: by kind, as long as nobody knows it for both sorts."""
    short = timeout.removesuffix("_timeout_s")
    if kind is not None:
        seconds = getattr(find_provider(kind).timeouts, short)
        return gettext("In seconds. Empty: %(seconds)s s.") % {"seconds": intcomma(int(seconds))}
    remote, local = (intcomma(int(getattr(usual, short))) for usual in (REMOTE, LOCAL))
    if remote == local:
        return gettext("In seconds. Empty: %(seconds)s s.") % {"seconds": remote}
    text = gettext("In seconds. Empty: %(remote)s s, for servers of your own (such as vLLM) %(local)s s.")
    return text % {"remote": remote, "local": local}


class ConnectionForm(forms.ModelForm):
    base_url = forms.CharField(
        label=_("Base address"),
        required=False,
        max_length=500,
        widget=UnfoldAdminTextInputWidget(),
        help_text=_(
            "With the version, such as https://api.openai.com/v1. Empty: the usual address of this kind."
        ),
    )
    secret = forms.CharField(
        label=_("API key"),
        required=False,
        max_length=4_000,
        strip=True,
        widget=KeptSecretWidget(attrs={"autocomplete": "new-password"}),
        help_text=_("Stored encrypted and never shown again. Empty: what is stored stays."),
    )
    remove_secret = forms.BooleanField(
        label=_("Remove the stored key"), required=False, widget=UnfoldBooleanWidget()
    )

    person_id: UUID | None = None  # who fills it in

    class Meta:
        fields = [*WRITTEN, "secret"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "secret" in self.fields:
            self._keep_secret(self.fields["secret"])
        for name in set(TIMEOUTS) & self.fields.keys():
            self.fields[name].help_text = say_default(name, None if self.is_new else self.instance.kind)

    def _keep_secret(self, field: forms.Field) -> None:
        field.widget.person = self.person_id
        name = self.add_prefix("secret")
        if self.is_bound and field.widget.value_from_datadict(self.data, self.files, name):
            text = gettext(
                "What you have entered is kept for %(minutes)d minutes: leave this empty to use it, or enter "
                "another key."
            )
            field.help_text = text % {"minutes": KEPT_S // 60}

    @property
    def is_new(self) -> bool:
        return self.instance._state.adding

    def more(self) -> dict:
        """What only the platform's form asks for, as arguments of the services."""
        return {}

    def clean_secret(self) -> str:
        secret = self.cleaned_data["secret"]
        if not secret and self.fields["secret"].widget.has_kept(self.data, self.add_prefix("secret")):
            text = gettext("Enter the API key again: it was kept for %(minutes)d minutes.")
            raise forms.ValidationError(text % {"minutes": KEPT_S // 60})
        return secret

    def written(self) -> dict:
        """What the service is to change."""
        changes = {
            name: self.cleaned_data[name] for name in self.changed_data if name in WRITTEN
        } | self.more()
        secret, is_typed = self.cleaned_data["secret"], self.data.get(self.add_prefix("secret"))
        if self.cleaned_data.get("remove_secret"):
            changes["secret"] = secret if is_typed else ""
        elif secret:
            changes["secret"] = secret
        return changes


class ConnectionAdminBase(AtriumModelAdmin):
    place = Place(MenuGroup.MODELS, 10, "cable")
    in_palette = True
    empty_text = _(
        "A connection is a way to a provider or a model server: an address and a key. Add one, then fetch "
        "its models."
    )
    form = ConnectionForm
    list_display = [
        "name",
        "kind",
        "location",
        "show_key",
        "show_models",
        "show_check",
        ago("last_checked_at", _("checked")),
        "is_enabled",
    ]
    list_filter = [("kind", ChoicesDropdownFilter), ("location", ChoicesDropdownFilter), "is_enabled"]
    search_fields = ["name", "base_url"]
    readonly_fields = ["show_key", "show_check", "last_checked_at", "show_error"]
    actions = ["test", "sync"]
    actions_detail = ["test", "sync"]
    extra_fields: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).annotate(model_count=Count("models"))

    def get_fieldsets(self, request: HttpRequest, obj: Connection | None = None):
        place = (_("Where prompts go"), {"fields": ["location", "no_storage", *self.extra_fields]})
        asked = (_("How it is asked"), {"fields": list(HOW_IT_IS_ASKED), "classes": ["collapse"]})
        if obj is None:
            return [(None, {"fields": ["name", "kind", "base_url", "secret", "is_enabled"]}), place, asked]
        return [
            (
                None,
                {"fields": ["name", "kind", "base_url", "show_key", "secret", "remove_secret", "is_enabled"]},
            ),
            place,
            asked,
            (_("Last check"), {"fields": ["show_check", "last_checked_at", "show_error"]}),
        ]

    def get_form(
        self, request: HttpRequest, obj: Connection | None = None, change: bool = False, **kwargs
    ) -> type[ConnectionForm]:
        form = super().get_form(request, obj, change, **kwargs)
        form.person_id = request.user.pk
        return form

    def create_row(self, request: HttpRequest, form: ConnectionForm) -> Connection:
        data = form.cleaned_data
        fields = {
            name: data[name]
            for name in ("name", "kind", "base_url", "no_storage", "is_enabled", *HOW_IT_IS_ASKED)
        } | form.more()
        row = add_connection(
            actor=request.user, secret=data["secret"], location=data["location"] or None, **fields
        )
        _tell_address(request, row, form)
        return row

    def change_row(self, request: HttpRequest, row: Connection, form: ConnectionForm) -> None:
        _tell_address(request, update_connection(actor=request.user, connection=row, **form.written()), form)

    def remove_row(self, request: HttpRequest, row: Connection) -> None:
        remove_connection(actor=request.user, connection=row)

    @display(description=_("key stored"), boolean=True)
    def show_key(self, row: Connection) -> bool:
        return row.has_secret

    @display(description=_("models"), ordering="model_count")
    def show_models(self, row: Connection) -> int:
        return row.model_count

    @display(description=_("last check"), label={OK: "success", BAD: "danger", UNKNOWN: "info"})
    def show_check(self, row: Connection) -> Badge:
        if row.last_checked_at is None:
            return Badge(UNKNOWN, gettext("not checked yet"))
        return Badge(BAD, gettext("failed")) if row.last_error else Badge(OK, gettext("answered"))

    @display(description=_("last error"))
    def show_error(self, row: Connection) -> str:
        return row.failure

    @confirmed(
        description=_("Test"),
        icon="activity",
        question=_("Ask these providers whether they answer?"),
        explanation=_("Each is asked for its list of models, with the stored key. That costs nothing."),
    )
    def test(self, request: HttpRequest, row: Connection) -> str:
        result = test_connection(actor=request.user, connection=row)
        if not result.is_ok:
            raise UpstreamError(result.error)
        count = result.model_count
        text = ngettext(
            "%(name)s answered in %(ms)d ms and lists %(count)d model.",
            "%(name)s answered in %(ms)d ms and lists %(count)d models.",
            count,
        )
        return text % {"name": row.name, "ms": result.latency_ms, "count": count}

    @confirmed(
        description=_("Fetch models"),
        icon="refresh-cw",
        question=_("Fetch the lists of models of these providers?"),
        explanation=_(
            "New models are added, those that have vanished are switched off. What you have set on a model "
            "stays."
        ),
    )
    def sync(self, request: HttpRequest, row: Connection) -> str:
        report = sync_catalogue(actor=request.user, connection=row)
        text = gettext(
            "%(name)s: %(added)d added, %(returned)d back again, %(vanished)d switched off, %(kept)d "
            "unchanged."
        )
        counts = {name: len(getattr(report, name)) for name in ("added", "returned", "vanished")}
        text %= {"name": row.name, "kept": report.kept, **counts}
        link = format_html('<a href="{}" class="underline">{}</a>', self._address_of_models(row), text)
        return format_html_join(
            " ", "{}", [(part,) for part in (link, *_tell_unpriced(row), *_tell_more(request, report))]
        )

    def _address_of_models(self, row: Connection) -> str:
        """Of the list of models, with those of the connection."""
        address = reverse(f"{self.admin_site.name}:{row._meta.app_label}_model_changelist")
        return f"{address}?connection__id__exact={row.pk}"


def _tell_unpriced(row: Connection) -> Iterator[str]:
    """What is called for nothing, since nobody set a price."""
    if count := len(list_unpriced(row)):
        yield ngettext(
            "%(count)d of its models is switched on and has no price: its calls cost nothing, and no budget "
            "stops them. Enter a price, or switch it off.",
            "%(count)d of its models are switched on and have no price: their calls cost nothing, and no "
            "budget stops them. Enter prices, or switch them off.",
            count,
        ) % {"count": count}


def _tell_more(request: HttpRequest, report: SyncReport) -> Iterator[str]:
    """Which models wait for a price, how long the answers of new ones are, which ones did not come in, and
    what to do about it.
    """
    count = len(report.unpriced)
    if count:
        yield ngettext(
            "%(count)d of those added or back again stays switched off until you enter its price or mark it "
            "as free of charge: in the list of models, filter by “no price”.",
            "%(count)d of those added or back again stay switched off until you enter their prices or mark "
            "them as free of charge: in the list of models, filter by “no price”.",
            count,
        ) % {"count": count}
    count = len(report.proposed)
    if count and bills_in(request, CURRENCY):
        yield ngettext(
            "The catalogue says what %(count)d of those added costs: take that over on its page.",
            "The catalogue says what %(count)d of those added cost: take that over in the list of models.",
            count,
        ) % {"count": count}
    if report.added:
        text = gettext(
            "Where a call names no “max_tokens”, answers of new models have at most %(count)s tokens; a "
            "model's page has the number."
        )
        yield text % {"count": intcomma(USUAL_OUTPUT_TOKENS)}
    count, names = len(report.refused), ", ".join(report.refused[:MAX_NAMES])
    if count:
        yield ngettext(
            "%(count)d model has a name that cannot be used here: %(names)s. Add it by hand under another "
            "name.",
            "%(count)d models have names that cannot be used here: %(names)s. Add them by hand under other "
            "names.",
            count,
        ) % {"count": count, "names": names + ("…" if count > MAX_NAMES else "")}


def _tell_address(request: HttpRequest, row: Connection, form: ConnectionForm) -> None:
    """Where another address is kept than was entered."""
    if form.cleaned_data["base_url"] not in ("", row.base_url):
        text = gettext("The address is kept as %(address)s: that is what all requests begin with.")
        messages.info(request, text % {"address": row.base_url})
