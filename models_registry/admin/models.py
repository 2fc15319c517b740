"""Models with their dated prices, as both administrations show them. A price is added, never
changed: what was booked stays right.
"""

from collections.abc import Callable, Iterable

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminSplitDateTimeWidget

from administration.columns import Badge
from administration.fields import NamesField
from administration.menu import MenuGroup, Place
from administration.model_admin import AtriumModelAdmin, Inline
from administration.sites import service_admin
from foundation.amounts import show_money
from models_registry.kinds import Channel, list_priced_classes
from models_registry.selectors import list_current_prices
from models_registry.services import (
    EndpointSpec,
    add_model,
    remove_model,
    set_endpoints,
    set_model,
    set_model_price,
)
from models_registry.worlds import Model, ModelPrice, active_world
from usage.labels import LABELS, label_of_price, show_prices
from usage.pricing import MAX_PRICE, TOKEN_CLASSES, Price
from usage.quantities import CLASSES

NEWER_CLASSES = tuple(name for name in CLASSES if name not in TOKEN_CLASSES)  # without a column of their own
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
    fallbacks = NamesField(
        label=_("Stand-ins"),
        help_text=_("Models that answer where this one does not, one per line, at their own prices."),
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

    def _get_validation_exclusions(self) -> set[str]:
        """The service takes the mark from the model that had it, so two
        defaults are no mistake of the form.
        """
        return super()._get_validation_exclusions() | {"is_default"}


def _price_field(name: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=label_of_price(name),
        min_value=0,
        max_value=MAX_PRICE,
        decimal_places=CLASSES[name].price_places,
    )


def _price_column(name: str) -> Callable[[Inline, ModelPrice], str]:
    @display(description=label_of_price(name))
    def show(self: Inline, row: ModelPrice) -> str:
        return show_money(row.as_price().amounts.get(name))

    return show


# What the table's columns and a form of them have by themselves, for the classes without a column.
_NewerFields = type("NewerFields", (forms.Form,), {name: _price_field(name) for name in NEWER_CLASSES})
_NewerColumns = type("NewerColumns", (), {name: _price_column(name) for name in NEWER_CLASSES})


class PriceForm(_NewerFields, forms.ModelForm):
    """A new price. What is left empty follows the earlier price, or the price of what it is a part of."""

    valid_from = forms.SplitDateTimeField(
        label=_("valid from"),
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget(),
        help_text=_("Empty: from now on."),
    )

    class Meta:
        fields = ["valid_from", "currency", *TOKEN_CLASSES]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in CLASSES.keys() & self.fields.keys():
            parent = CLASSES[name].parent
            hint = {"placeholder": gettext("as %(what)s") % {"what": LABELS[parent]}} if parent else {}
            self.fields[name].required = False
            self.fields[name].widget = UnfoldAdminDecimalFieldWidget(attrs=hint)


class PriceInline(_NewerColumns, Inline):
    form = PriceForm
    terms: tuple[str, ...] = ("valid_from", "currency")
    verbose_name_plural = _(
        "Prices, the newest first. Tokens per million; what is left empty costs what it is a part of."
    )
    ordering = ["-valid_from"]
    per_page = 12

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        wanted = list_priced_classes(obj.kind, obj.capabilities) if obj else ()
        return [*self.terms, *wanted]

    def get_queryset(self, request: HttpRequest):
        return super().get_queryset(request).select_related("model")

    def has_change_permission(self, request: HttpRequest, obj: ModelPrice | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ModelPrice | None = None) -> bool:
        return False


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


class ModelAdminBase(AtriumModelAdmin):
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
        "context_window",
        "is_default",
        "is_enabled",
    ]
    list_filter = [
        ("connection", RelatedDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("channel", ChoicesDropdownFilter),
        "is_enabled",
    ]
    search_fields = ["name", "label", "upstream_name"]
    list_select_related = ["connection"]
    readonly_fields = ["stable_since", "listed_at", "vanished_at"]
    price_inline: type[PriceInline]
    endpoint_inline: type[EndpointInline]
    extra_fields: tuple[str, ...] = ()

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None):
        first = [
            "name",
            "label",
            "connection",
            "upstream_name",
            "kind",
            "is_enabled",
            "is_default",
            *self.extra_fields,
        ]
        routing = ["aliases", "fallbacks", "weight"]
        limits = [
            "context_window",
            "max_output_tokens",
            "default_max_output_tokens",
            "capabilities",
            "licence",
        ]
        life = ["channel", "retire_on", "successor", "notes"]
        if obj is not None:
            life += ["stable_since", "listed_at", "vanished_at"]
        return [
            (None, {"fields": first}),
            (_("Names and routing"), {"fields": routing}),
            (_("Limits"), {"fields": limits}),
            (_("Life"), {"fields": life}),
        ]

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
        return add_model(
            actor=request.user,
            connection=data.pop("connection"),
            name=data.pop("name"),
            upstream_name=data.pop("upstream_name"),
            **data,
        )

    def change_row(self, request: HttpRequest, row: Model, form: ModelForm) -> None:
        own = {*ModelForm.Meta.fields, *self.extra_fields}
        changes = {name: form.cleaned_data[name] for name in form.changed_data if name in own}
        if changes.get("upstream_name") == "":
            changes["upstream_name"] = form.cleaned_data.get("name", row.name)
        set_model(actor=request.user, model=row, **changes)

    def remove_row(self, request: HttpRequest, row: Model) -> None:
        remove_model(actor=request.user, model=row)

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

    @display(description=_("model"), ordering="name", header=True)
    def show_name(self, row: Model) -> list[str]:
        return [row.name, row.label if row.label != row.name else ""]

    @display(description=_("channel"), ordering="channel", label=CHANNEL_COLOURS)
    def show_channel(self, row: Model) -> Badge:
        return Badge(row.channel, row.get_channel_display())

    @display(description=_("input / output per million"))
    def show_prices(self, row: Model) -> str:
        prices = getattr(row, "current_prices", [])
        if service_admin is not self.admin_site:
            prices = prices[:2]
        shown = "; ".join(_show_price(row.as_price()) for row in prices)
        return shown or gettext("no price: calls cost nothing")


def _show_price(price: Price) -> str:
    if price.input is None or price.output is None:
        return f"{show_prices(price.snapshot())} {price.currency}"
    return f"{show_money(price.input)} / {show_money(price.output)} {price.currency}"
