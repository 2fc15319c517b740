"""The base of every ModelAdmin of the house.

Covers: writes go through services only, so a class without `create_row`, `change_row` or `remove_row` cannot
add, change or delete; what a service refuses appears in the form, at its field; the history of an object is
its audit log; a list is filtered by its own filters alone, and sorted by its own columns: Django would let
anybody who sees it filter by any field, and read a password's hash letter by letter.
Does not cover: who may call what; that is Django's permissions here and `require` in the services.
"""

import re
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import DecimalField, Field, Model, QuerySet
from django.db.models.fields.related import RelatedField
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise, cached_property
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from unfold.admin import ModelAdmin, TabularInline
from unfold.widgets import UnfoldAdminTextInputWidget

from administration.history import show_history
from administration.menu import Place
from foundation.amounts import AmountField
from foundation.errors import AtriumError, Conflict
from foundation.refusals import Refusal, texts_by_field
from foundation.spacing import cjk_spaced

# What Django's and unfold's filters put behind a field's name in an address: equality, sets,
# "without", and both ends of a range.
FILTER_ENDINGS = ("", "__exact", "__in", "__isnull", "_from", "_to")
DATE_PARTS = ("__year", "__month", "__day")
DATE_NUMBER = re.compile(r"[0-9]{1,4}")
DATE_ENDINGS = (*DATE_PARTS, "__gte", "__lt")


class NamedOptions:
    """A model's options, under the names by which this administration calls its objects."""

    def __init__(self, options: Any, nouns: tuple[str | Promise, str | Promise]) -> None:
        self._options = options
        self.verbose_name = nouns[0]
        self.verbose_name_plural = nouns[1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._options, name)


class AtriumModelAdmin(ModelAdmin):
    """A subclass names its place in the menu and the services that write."""

    place: Place | None = None
    # one object and several, where people call them otherwise than the model does
    nouns: tuple[str | Promise, str | Promise] | None = None
    keywords: str | Promise = ""  # further words under which the palette finds the list
    empty_text: str | Promise = ""  # what would be here, and how to get it
    # models without a list of their own whose rights a role may hold
    also_rights: tuple[type[Model], ...] = ()
    in_palette = False  # whether Ctrl K finds its objects; never where `str()` shows what a person wrote
    actions: list[str] = []
    list_per_page = 50
    list_max_show_all = 200
    list_filter_submit = True
    list_disable_select_all = True
    list_fullwidth = True
    warn_unsaved_form = True
    save_as = False
    view_on_site = False

    def __init__(self, model: type[Model], admin_site: Any) -> None:
        super().__init__(model, admin_site)
        if self.nouns:
            self.opts = NamedOptions(model._meta, self.nouns)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        changelist.opts = self.opts
        self.load_more(list(changelist.result_list))
        return changelist

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            self.load_more([row])
        return row

    def load_more(self, rows: list[Any]) -> None:
        """Put onto the rows of a page what their columns show and their fields do not hold: for all of them
        in a fixed number of queries.
        """

    def list_title(self) -> str:
        """What the menu, the palette and the page call the list."""
        return capfirst(str((self.place and self.place.title) or self.opts.verbose_name_plural))

    # -- reads: what a list may be asked ---------------------------------------------------------------------

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Whether a list may be filtered so: by what its own filters and its date hierarchy put into an
        address, and by nothing else.
        """
        texts = value if isinstance(value, list | tuple) else [value]
        if lookup.endswith(DATE_PARTS):
            return lookup in self._filter_parameters and all(map(DATE_NUMBER.fullmatch, map(str, texts)))
        return lookup in self._filter_parameters

    @cached_property
    def _filter_parameters(self) -> frozenset[str]:
        names = set()
        for entry in self.list_filter:
            if isinstance(entry, type):
                names.add(entry.parameter_name)
                continue
            name = entry if isinstance(entry, str) else entry[0]
            field = self.opts.get_field(name)
            names.update(f"{name}{ending}" for ending in FILTER_ENDINGS)
            if isinstance(field, RelatedField):
                names.add(f"{name}__{field.target_field.name}__exact")
        if self.date_hierarchy:
            names.update(f"{self.date_hierarchy}{ending}" for ending in DATE_ENDINGS)
        return frozenset(names)

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Rows are named by their primary key only."""
        return to_field == self.opts.pk.name

    # -- actions on the page of one row ----------------------------------------------------------------------

    list_fitting_actions = None  # (self, request, row) -> the names of those that make sense; None: all do

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list:
        actions = super().get_actions_detail(request, object_id)
        if self.list_fitting_actions is None or not actions:
            return actions
        row = self.get_object(request, object_id)
        fitting = set() if row is None else self.list_fitting_actions(request, row)
        return [action for action in actions if action.path in fitting]

    # -- writes: a subclass gives these ----------------------------------------------------------------------

    create_row = None  # (self, request, form) -> the new row
    change_row = None  # (self, request, row, form): `row` as the database has it
    remove_row = None  # (self, request, row)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.create_row is not None and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.change_row is not None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.remove_row is not None and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Model, form: forms.ModelForm, change: bool) -> None:
        if change:
            # without the form's values: the service sets those it allows
            row = self.model._default_manager.get(pk=obj.pk)
            self.change_row(request, row, form)
        else:
            row = self.create_row(request, form)
            obj.pk = row.pk
            form.instance.pk = row.pk
        obj.__dict__.update(row.__dict__)

    def save_related(self, request: HttpRequest, form: forms.ModelForm, formsets: list, change: bool) -> None:
        """Many-to-many values are the services' business too: no `form.save_m2m()`."""
        for formset in formsets:
            if formset.has_changed():
                self.save_formset(request, form, formset, change=change)

    def save_formset(self, request: HttpRequest, form: forms.ModelForm, formset, change: bool) -> None:
        raise NotImplementedError(f"{type(self).__name__} has an inline but no service that saves it.")

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        self.remove_row(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        """All of them or none: what a service refuses is told by `changelist_view`, with the row."""
        for row in queryset:
            try:
                self.remove_row(request, row)
            except AtriumError as exc:
                exc.message = f"{row}: {exc.message}"
                raise

    def get_urls(self) -> list:
        """Without the nameless address that sends everyone, also strangers, on to an object's page."""
        return [pattern for pattern in super().get_urls() if pattern.name]

    def get_action_choices(self, request: HttpRequest, *args: Any) -> list[tuple[str, str]]:
        return [(name, cjk_spaced(str(text))) for name, text in super().get_action_choices(request, *args)]

    # -- forms -----------------------------------------------------------------------------------------------

    def formfield_for_dbfield(
        self, db_field: Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if isinstance(db_field, DecimalField):  # money: as people write it, without the column's zeros
            kwargs = {"form_class": AmountField, "widget": UnfoldAdminTextInputWidget(), **kwargs}
        return without_related_links(super().formfield_for_dbfield(db_field, request, **kwargs))

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict,
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Model | None = None,
    ):
        context["show_save_and_add_another"] = False
        context["title"] = cjk_spaced(str(context["title"]))
        if add:
            request.page_title = context["title"]  # for templates/unfold/helpers/header_title.html
        return super().render_change_form(request, context, add, change, form_url, obj)

    # -- refusals --------------------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict | None = None,
    ) -> Any:
        """What a service refuses is shown in the form. The first attempt's transaction has been rolled back
        by then.
        """
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (AtriumError, ValidationError) as exc:
            if request.method != "POST":
                raise
            request.refusal = exc
            response = super().changeform_view(request, object_id, form_url, extra_context)
            response.status_code = exc.http_status if isinstance(exc, AtriumError) else 400
            return response

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any):
        form = super().get_form(request, obj, change, **kwargs)
        if refusal := getattr(request, "refusal", None):
            form = _refused(form, refusal)
        shown = set(flatten_fieldsets(self.get_fieldsets(request, obj)))
        for name in [name for name in form.base_fields if name not in shown]:
            # a form's own fields would be there, and required, on pages that do not show them; what a
            # service says of such a field is said of the form
            del form.base_fields[name]
        return form

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        """Titled as the menu names the list. What a service refuses to an action on many rows is shown above
        it.
        """
        if ERROR_FLAG in request.GET and len(request.GET) > 1:
            # a filter set beside it that is wrong again would be told as a broken database
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        try:
            return super().changelist_view(request, {"title": self.list_title()} | (extra_context or {}))
        except AtriumError as exc:
            if request.method != "POST":
                raise
            messages.error(request, exc.message)
            return HttpResponseRedirect(request.get_full_path())

    def response_action(self, request: HttpRequest, queryset: QuerySet) -> Any:
        """What cannot be the key of a row names none: Django would hand it to the database as it is."""
        posted = request.POST.copy()
        chosen = posted.getlist(ACTION_CHECKBOX_NAME)
        posted.setlist(ACTION_CHECKBOX_NAME, [text for text in chosen if _may_be_key(self.opts.pk, text)])
        request.POST = posted  # type: ignore[assignment]
        return super().response_action(request, queryset)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except AtriumError as exc:
            messages.error(request, exc.message)
            opts = self.model._meta
            return HttpResponseRedirect(
                reverse(f"{self.admin_site.name}:{opts.app_label}_{opts.model_name}_change", args=[object_id])
            )

    # -- history ---------------------------------------------------------------------------------------------

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict | None = None
    ) -> HttpResponse:
        return show_history(self, request, object_id)

    def construct_change_message(
        self, request: HttpRequest, form: forms.ModelForm, formsets: list | None, add: bool = False
    ) -> list:
        """Nothing: see `log_change`."""
        return []

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """Nothing: the audit log has it, with the values."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """Nothing: the audit log has it, with the values."""

    def log_deletions(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Nothing: the audit log has it, with the values."""


def _may_be_key(pk: Field, text: str) -> bool:
    try:
        pk.clean(text, None)
    except ValidationError:
        return False
    return True


def exists_already(row: Model, *, name: str, param: str) -> Conflict:
    """What a form that adds says of a row that stands: a service that sets would write over it, unseen."""
    address = reverse(f"service:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    link = format_html('<a href="{}" class="underline">{}</a>', address, name)
    text = gettext("This exists already: %(row)s. Change it there.")
    return Conflict(format_html(text.replace("%(row)s", "{}"), link), code="exists_already", param=param)


def without_related_links(field: forms.Field | None) -> forms.Field | None:
    """No small menus beside a choice that open other objects in windows: the menu at the side leads there."""
    if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
        field.widget.can_add_related = False
        field.widget.can_change_related = False
        field.widget.can_delete_related = False
        field.widget.can_view_related = False
    return field


class ReadOnlyAdmin(AtriumModelAdmin):
    """Rows that the administration shows and nobody edits there."""

    show_add_link = False


class ListOnlyAdmin(ReadOnlyAdmin):
    """A list of what is people's own: who and how much. No row opens, nor its history."""

    list_display_links = None

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict | None = None
    ) -> HttpResponse:
        raise Http404

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict | None = None
    ) -> HttpResponse:
        raise Http404


class Inline(TabularInline):
    """Rows of another table below an object."""

    extra = 0
    hide_title = True

    def formfield_for_dbfield(
        self, db_field: Field, request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        return without_related_links(super().formfield_for_dbfield(db_field, request, **kwargs))


class ReadOnlyInline(Inline):
    """Rows of another table below an object, for reading."""

    can_delete = False
    show_change_link = False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return list(self.fields)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _refused(form_class: type[forms.ModelForm], refusal: Refusal) -> type[forms.ModelForm]:
    """The form with what the service said, each text at its field."""

    class Refused(form_class):
        def full_clean(self) -> None:
            super().full_clean()
            if self.is_bound:
                for field, texts in texts_by_field(refusal).items():
                    self.add_error(field if field in self.fields else None, texts)

    return Refused
