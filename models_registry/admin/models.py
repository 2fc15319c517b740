"""Models, as both administrations show them."""

from django import forms
from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from administration.columns import Badge
from administration.confirm import both_ways, confirmed
from administration.menu import MenuGroup, Place
from models_registry.admin.endpoints import EndpointInline, save_endpoints
from models_registry.admin.hints import warn_of_unasked_stand_ins
from models_registry.admin.listed_prices import ListedPrices
from models_registry.admin.model_form import ModelForm
from models_registry.admin.prices import PriceInline
from models_registry.admin.shown_prices import PriceFilter, ShownPrices
from models_registry.kinds import Channel
from models_registry.services import add_model, remove_model, set_free, set_model, set_model_price
from models_registry.services.prices import must_be_priced
from models_registry.worlds import Model, active_world
from usage.quantities import CLASSES

ABILITIES = (
    "context_window",
    "max_output_tokens",
    "default_max_output_tokens",
    "capabilities",
    "languages",
    "licence",
)
CHANNEL_COLOURS = {
    Channel.STABLE: "success",
    Channel.EXPERIMENTAL: "info",
    Channel.DEPRECATED: "warning",
    Channel.RETIRED: "danger",
}


def _set_enabled(request: HttpRequest, row: Model, is_enabled: bool) -> None:
    set_model(actor=request.user, model=row, is_enabled=is_enabled)


class ModelAdminBase(ShownPrices, ListedPrices):
    place = Place(MenuGroup.MODELS, 20, "brain")
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
        price = ["is_free" if is_new else "show_current_price"]
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

    def create_row(self, request: HttpRequest, form: ModelForm) -> Model:
        """Whoever wants it offered without a price, though it needs one, has to say so."""
        data = dict(form.cleaned_data)
        wanted = {name: data[name] for name in ("is_enabled", "is_default")}
        is_free = data.pop("is_free")
        row = add_model(
            actor=request.user,
            connection=data.pop("connection"),
            name=data.pop("name"),
            upstream_name=data.pop("upstream_name"),
            waits_for_price=True,
            **data,
        )
        if is_free:
            row = self.offer_free(request, row, is_default=wanted["is_default"])
        if wanted["is_enabled"] and not row.is_enabled:
            messages.warning(
                request, gettext("It is switched off until you enter its price or mark it as free of charge.")
            )
        if wanted["is_default"] and not row.is_default:
            messages.warning(request, gettext("It is not the default: make it that once it is switched on."))
        warn_of_unasked_stand_ins(request, row)
        return row

    @staticmethod
    def offer_free(request: HttpRequest, row: Model, *, is_default: bool) -> Model:
        set_free(actor=request.user, model=row)
        row.refresh_from_db()
        if is_default and row.is_enabled:
            row = set_model(actor=request.user, model=row, is_default=True)
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
        """What needs the price that was entered beside it comes after that."""
        formsets = sorted(formsets, key=lambda one: one.model is self.endpoint_inline.model)
        super().save_related(request, form, formsets, change)
        if change and _needs_its_price_first(form.instance, form):
            set_model(actor=request.user, model=form.instance, is_enabled=True)

    def save_formset(self, request: HttpRequest, form: forms.ModelForm, formset, change: bool) -> None:
        if formset.model is self.endpoint_inline.model:
            save_endpoints(request, form.instance, formset)
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

    switch_on, switch_off = both_ways(
        _set_enabled,
        switch_on=confirmed(
            description=_("Switch on"),
            icon="toggle-right",
            question=_("Switch these models on?"),
            explanation=_("Whoever may use them can call them from now on."),
            done=ngettext_lazy(
                "%(count)d model is switched on.", "%(count)d models are switched on.", "count"
            ),
        ),
        switch_off=confirmed(
            description=_("Switch off"),
            icon="toggle-left",
            question=_("Switch these models off?"),
            explanation=_(
                "Calls of them are refused from now on. They keep their prices and all that is set."
            ),
            done=ngettext_lazy(
                "%(count)d model is switched off.", "%(count)d models are switched off.", "count"
            ),
        ),
    )

    @display(description=_("model"), ordering="name", header=True)
    def show_name(self, row: Model) -> list[str]:
        return [row.label or row.name, row.name if row.label and row.label != row.name else ""]

    @display(description=_("channel"), ordering="channel", label=CHANNEL_COLOURS)
    def show_channel(self, row: Model) -> Badge:
        return Badge(row.channel, row.get_channel_display())

    @display(description=_("context window"), ordering="context_window")
    def show_context(self, row: Model) -> str:
        return "–" if row.context_window is None else str(intcomma(row.context_window))


def _needs_its_price_first(row: Model, form: ModelForm) -> bool:
    """Whether the form switches it on, and the service asks for a price before."""
    is_wanted = "is_enabled" in form.changed_data and form.cleaned_data["is_enabled"]
    return is_wanted and must_be_priced(active_world(), row)
