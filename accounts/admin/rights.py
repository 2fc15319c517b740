"""Rights as a table: kinds of objects down, what may be done with them across."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.auth.models import Permission
from django.db.models import Model, Q, QuerySet
from django.template.loader import render_to_string
from django.utils.text import capfirst
from django.utils.translation import gettext

from administration.model_admin import AtriumModelAdmin
from administration.sites import service_admin
from foundation.spacing import label_value

ACTIONS = ("view", "add", "change", "delete")


def list_rights() -> QuerySet[Permission]:
    """The permissions that mean something here: what the lists of this administration can do, and rights of
    other names.
    """
    wanted = Q()
    for model, model_admin in service_admin._registry.items():
        wanted |= _rights_of(
            model, [*_actions_of(model_admin), *(name for name, _label in model._meta.permissions)]
        )
        for other in model_admin.also_rights:
            wanted |= _rights_of(other, ("view", "add"))
    return (
        Permission.objects.filter(wanted).select_related("content_type").order_by("content_type", "codename")
    )


def _actions_of(model_admin: AtriumModelAdmin) -> list[str]:
    writes = {
        "add": model_admin.create_row,
        "change": model_admin.change_row,
        "delete": model_admin.remove_row,
    }
    return ["view", *(action for action, service in writes.items() if service is not None)]


def _rights_of(model: type[Model], names: Iterable[str]) -> Q:
    opts = model._meta
    codenames = [f"{name}_{opts.model_name}" if name in ACTIONS else name for name in names]
    return Q(
        content_type__app_label=opts.app_label, content_type__model=opts.model_name, codename__in=codenames
    )


def action_labels() -> dict[str, str]:
    return {
        "view": gettext("view"),
        "add": gettext("add"),
        "change": gettext("change"),
        "delete": gettext("delete"),
    }


def _name(right: Permission) -> str:
    """What people call the objects of a right: as the menu does."""
    model = right.content_type.model_class()
    model_admin = service_admin._registry.get(model)
    return model_admin.list_title() if model_admin else capfirst(str(model._meta.verbose_name_plural))


def describe_rights(rights: Iterable[Permission]) -> str:
    """The same in words, for those who may only look."""
    labels, names = action_labels(), defaultdict(list)
    for right in rights:
        names[_name(right)].append(labels.get(right.codename.partition("_")[0], gettext(right.name)))
    return "; ".join(label_value(label, ", ".join(actions)) for label, actions in sorted(names.items()))


class RightsWidget(forms.CheckboxSelectMultiple):
    """Check boxes in a table. Rights that are no view, add, change or
    delete stand in a column of their own.
    """

    template_name = "admin/accounts/rights_widget.html"

    def render(self, name: str, value: Any, attrs: dict | None = None, renderer=None) -> str:
        # the forms' own renderer sees no project templates
        return render_to_string(self.template_name, self.get_context(name, value, attrs))

    def get_context(self, name: str, value: Any, attrs: dict | None) -> dict:
        labels, chosen = action_labels(), {str(item) for item in value or []}
        rows: dict[str, dict] = defaultdict(lambda: {"cells": dict.fromkeys(ACTIONS), "others": []})
        for right in self.choices.queryset:
            cell = {"value": right.pk, "is_checked": str(right.pk) in chosen, "id": f"id_{name}_{right.pk}"}
            row = rows[_name(right)]
            action = right.codename.partition("_")[0]
            if right.codename == f"{action}_{right.content_type.model}":
                row["cells"][action] = cell | {"label": labels[action]}
            else:
                row["others"].append(cell | {"label": gettext(right.name)})
        return {
            "widget": {"name": name},
            "rows": [{"label": label, **row} for label, row in sorted(rows.items())],
            "columns": labels.values(),
        }
