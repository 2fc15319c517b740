"""Models, as both administrations show them."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from accounts.objects import two_names
from administration.columns import Badge
from administration.confirm import confirmed
from administration.fields import ChosenNameField, ChosenNamesField, NamesField
from administration.menu import MenuGroup, Place
from administration.model_admin import Inline
from administration.sites import service_admin
from foundation.amounts import show_money
from models_registry.admin.hints import warn_of_unasked_stand_ins
from models_registry.admin.listed_prices import ListedPrices
from models_registry.admin.prices import PriceInline
from models_registry.base import STAND_INS_HELP
from models_registry.kinds import Channel, list_priced_classes
from models_registry.selectors import list_current_prices, list_seen_models
from models_registry.services import (
    EndpointSpec,
    add_model,
    remove_model,
    set_endpoints,
    set_model,
    set_model_price,
)
from models_registry.services.prices import costs_the_platform
from models_registry.worlds import Model, active_world
from usage.labels import show_prices
from usage.pricing import Price
from usage.quantities import CLASSES

ABILITIES = (
    "context_window",
    "max_output_tokens",
    "default_max_output_tokens",
    "capabilities",
    "licence",
)
SHOWN = 2  # prices of a model of the platform, in its list: one per currency
CHANNEL_COLOURS = {
    Channel.STABLE: "success",
    Channel.EXPERIMENTAL: "info",
    Channel.DEPRECATED: "warning",
    Channel.RETIRED: "danger",
}


class ModelForm(forms.ModelForm):
    capabilities = NamesField(
        label=_("Capabilities"), help_text=_("Short words, one per line, such as tools or vision.")
    )
    aliases = NamesField(
        label=_("Other names"), help_text=_("Under which it can be called too, one per line.")
    )
    fallbacks = ChosenNamesField(label=_("Stand-ins"), help_text=STAND_INS_HELP)
    successor = ChosenNameField(
        label=_("Successor"), help_text=_("The model to use instead once this one is retired.")
    )

    class Meta:
        fields = [
            "name",
            "label",
            "connection",
            "upstream_name",
            "weight",
            "aliases",
            "fallbacks",
            "kind",
            "is_enabled",
            "is_default",
            "context_window",
            "max_output_tokens",
            "default_max_output_tokens",
            "capabilities",
            "licence",
            "channel",
            "retire_on",
            "successor",
            "notes",
        ]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "upstream_name" in self.fields:
            self.fields["upstream_name"].required = False
            self.fields["upstream_name"].help_text = _("Empty: the same as the name.")
        if {"fallbacks", "successor"} & self.fields.keys():
            self._offer_others()

    def _offer_others(self) -> None:
        """The other models, those that do the same; all, as long as nobody knows what this one does."""
        row = self.instance
        others = sorted(list_seen_models(), key=lambda other: other.name)
        names = {
            other.name: two_names(other.name, other.label)
            for other in others
            if other.pk != row.pk and (row._state.adding or other.kind == row.kind)
        }
        aliases = {alias: other.name for other in others for alias in other.aliases}
        for field, stored in (("fallbacks", row.fallbacks), ("successor", [row.successor])):
            if field in self.fields:
                called = {name: names[aliases[name]] for name in stored if aliases.get(name) in names}
                self.fields[field].offer(names | called, [name for name in stored if name])

    def _get_validation_exclusions(self) -> set[str]:
        """The service takes the mark from the model that had it, so two
        defaults are no mistake of the form.
        """
        return super()._get_validation_exclusions() | {"is_default"}


class PriceFilter(admin.SimpleListFilter):
    """By whether a price holds now."""

    title = _("price")
    parameter_name = "priced"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("no price")), ("yes", _("with a price"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in ("no", "yes"):
            return queryset
        prices = active_world().prices.objects.filter(model=OuterRef("pk"), valid_from__lte=timezone.now())
        return queryset.filter(Exists(prices) if self.value() == "yes" else ~Exists(prices))


class EndpointInline(Inline):
    """Further connections that have the model."""

    fields = ("connection", "upstream_name", "weight")
    verbose_name_plural = _(
        "Further endpoints. Calls are shared out by weight; where one does not answer, another one does."
    )

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).select_related("model", "connection")

    def formfield_for_dbfield(self, db_field, request: HttpRequest, **kwargs):
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "upstream_name":
            field.required = False
            field.help_text = _("Empty: as at its own connection.")
        return field

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm(active_world().may("change", "model"))

    has_add_permission = has_delete_permission = has_change_permission

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm(active_world().may("view", "model"))


class ModelAdminBase(ListedPrices):
    place = Place(MenuGroup.MODELS, 20, "neurology")
    in_palette = True
    empty_text = _(
        "Models are what people name in “model”. Fetch them from a connection, or add one by hand."
    )
    form = ModelForm
    list_display = [
        "show_name",
        "connection",
        "kind",
        "show_channel",
        "show_prices",
        "show_context",
        "is_default",
        "is_enabled",
    ]
    list_filter = [
        ("connection", RelatedDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        "is_enabled",
        PriceFilter,
    ]
    search_fields = ["name", "label", "upstream_name"]
    list_select_related = ["connection"]
    readonly_fields = ["show_current_price", "show_listed_price", "stable_since", "listed_at", "vanished_at"]
    actions = [*ListedPrices.actions, "switch_on", "switch_off"]
    price_inline: type[PriceInline]
    endpoint_inline: type[EndpointInline]
    extra_fields: tuple[str, ...] = ()

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None):
        """What is changed most comes first."""
        is_new = obj is None
        price = [] if is_new else ["show_current_price"]
        if obj is not None and obj.listed_price:
            price.append("show_listed_price")
        life = ["channel", "retire_on", "successor", "notes"]
        listed = [] if is_new else ["stable_since", "listed_at", "vanished_at"]
        return [
            (None, {"fields": ["name", "label", "kind", "is_enabled", "is_default", *price]}),
            (
                _("Where it runs"),
                {"fields": ["connection", "upstream_name", "weight", *self.extra_fields]},
            ),
            *self.get_fieldsets_of_use(obj),
            (_("What it can do"), {"fields": list(ABILITIES)}),
            (_("Other names and stand-ins"), {"fields": ["aliases", "fallbacks"]}),
            (_("Life"), {"fields": [*life, *listed]}),
        ]

    def get_fieldsets_of_use(self, obj: Model | None) -> list:
        """Who may use it, and how much of it."""
        return []

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return self.readonly_fields if obj is None else [*self.readonly_fields, "connection"]

    def get_inlines(self, request: HttpRequest, obj: Model | None) -> list:
        return [self.endpoint_inline, self.price_inline] if obj else []

    def get_changelist_instance(self, request: HttpRequest):
        changelist = super().get_changelist_instance(request)
        self._load_prices(list(changelist.result_list))
        return changelist

    @staticmethod
    def _load_prices(rows: Iterable[Model]) -> None:
        prices = list_current_prices(rows)
        for row in rows:
            row.current_prices = prices.get(row.pk, [])

    def create_row(self, request: HttpRequest, form: ModelForm) -> Model:
        data = dict(form.cleaned_data)
        if data["is_enabled"] and costs_the_platform(active_world(), data["connection"]):
            data["is_enabled"] = False
            messages.warning(
                request, gettext("It is switched off until you enter its price and switch it on.")
            )
        row = add_model(
            actor=request.user,
            connection=data.pop("connection"),
            name=data.pop("name"),
            upstream_name=data.pop("upstream_name"),
            **data,
        )
        warn_of_unasked_stand_ins(request, row)
        return row

    def change_row(self, request: HttpRequest, row: Model, form: ModelForm) -> None:
        own = {*ModelForm.Meta.fields, *self.extra_fields}
        changes = {name: form.cleaned_data[name] for name in form.changed_data if name in own}
        if _needs_its_price_first(row, form):
            del changes["is_enabled"]
        if changes.get("upstream_name") == "":
            changes["upstream_name"] = form.cleaned_data.get("name", row.name)
        changed = set_model(actor=request.user, model=row, **changes)
        if "fallbacks" in changes:
            warn_of_unasked_stand_ins(request, changed)

    def remove_row(self, request: HttpRequest, row: Model) -> None:
        remove_model(actor=request.user, model=row)

    def save_related(self, request: HttpRequest, form: forms.ModelForm, formsets: list, change: bool) -> None:
        """What needs the price that was entered beside it is switched on only now."""
        super().save_related(request, form, formsets, change)
        if change and _needs_its_price_first(form.instance, form):
            set_model(actor=request.user, model=form.instance, is_enabled=True)

    def save_formset(self, request: HttpRequest, form: forms.ModelForm, formset, change: bool) -> None:
        if formset.model is self.endpoint_inline.model:
            self._save_endpoints(request, form.instance, formset)
            return
        for price in formset.extra_forms:
            if price.has_changed():
                set_model_price(
                    actor=request.user,
                    model=form.instance,
                    valid_from=price.cleaned_data.get("valid_from"),
                    currency=price.cleaned_data.get("currency", ""),
                    **{name: price.cleaned_data.get(name) for name in CLASSES},
                )

    def _save_endpoints(self, request: HttpRequest, model: Model, formset) -> None:
        """The rows of the form are all that the model has."""
        if not formset.has_changed():
            return
        kept = [one for one in formset.forms if one not in formset.deleted_forms and one.cleaned_data]
        specs = [
            EndpointSpec(data["connection"], data["upstream_name"], data["weight"])
            for data in (one.cleaned_data for one in kept)
        ]
        set_endpoints(actor=request.user, model=model, endpoints=specs)

    @confirmed(
        description=_("Switch on"),
        icon="toggle_on",
        question=_("Switch these models on?"),
        explanation=_("Whoever may use them can call them from now on."),
        done=ngettext_lazy("%(count)d model is switched on.", "%(count)d models are switched on.", "count"),
    )
    def switch_on(self, request: HttpRequest, row: Model) -> None:
        set_model(actor=request.user, model=row, is_enabled=True)

    @confirmed(
        description=_("Switch off"),
        icon="toggle_off",
        question=_("Switch these models off?"),
        explanation=_("Calls of them are refused from now on. They keep their prices and all that is set."),
        done=ngettext_lazy("%(count)d model is switched off.", "%(count)d models are switched off.", "count"),
    )
    def switch_off(self, request: HttpRequest, row: Model) -> None:
        set_model(actor=request.user, model=row, is_enabled=False)

    @display(description=_("model"), ordering="name", header=True)
    def show_name(self, row: Model) -> list[str]:
        return [row.label or row.name, row.name if row.label and row.label != row.name else ""]

    @display(description=_("channel"), ordering="channel", label=CHANNEL_COLOURS)
    def show_channel(self, row: Model) -> Badge:
        return Badge(row.channel, row.get_channel_display())

    @display(description=_("input / output per million"))
    def show_prices(self, row: Model) -> str:
        prices = getattr(row, "current_prices", [])
        is_own = service_admin is self.admin_site
        shown = [_show_price(price.as_price(), row.kind) for price in (prices if is_own else prices[:SHOWN])]
        if len(prices) > len(shown):
            shown.append(f"+{len(prices) - len(shown)}")
        if not shown and row.proposed_price:
            listed = _show_price(Price.from_snapshot(row.proposed_price), row.kind)
            return gettext("no price; in the catalogue: %(price)s") % {"price": listed}
        return "; ".join(shown) or _say_no_price(row)

    @display(description=_("context window"), ordering="context_window")
    def show_context(self, row: Model) -> str:
        return "–" if row.context_window is None else str(intcomma(row.context_window))

    @display(description=_("price at present"))
    def show_current_price(self, row: Model) -> str:
        wanted = list_priced_classes(row.kind, row.capabilities)
        prices = [(one.currency, one.own_texts) for one in list_current_prices([row]).get(row.pk, [])]
        lines = [
            (show_prices({name: texts[name] for name in wanted if name in texts}, currency),)
            for currency, texts in prices
        ]
        return format_html_join("", "<p>{}</p>", lines) or _say_no_price(row)


def _needs_its_price_first(row: Model, form: ModelForm) -> bool:
    """Whether the form switches it on, and the service asks for a price before."""
    is_wanted = "is_enabled" in form.changed_data and form.cleaned_data["is_enabled"]
    return is_wanted and costs_the_platform(active_world(), row.connection)


def _say_no_price(row: Model) -> str:
    if row.is_priced_otherwise:
        return gettext("no price; that of the catalogue cannot be taken over")
    if costs_the_platform(active_world(), row.connection):
        return gettext("no price")
    return gettext("no price: calls cost nothing")


def _show_price(price: Price, kind: str) -> str:
    if "output" not in list_priced_classes(kind, ()):
        return show_money(price.input, price.currency)
    if price.input is None or price.output is None:
        return show_prices(price.snapshot(), price.currency)
    return f"{show_money(price.input)} / {show_money(price.output, price.currency)}"
