"""A model's further endpoints, below it."""

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from administration.model_admin import Inline
from models_registry.services import EndpointSpec, set_endpoints
from models_registry.worlds import Model, active_world


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


def save_endpoints(request: HttpRequest, model: Model, formset) -> None:
    """The rows of the form are all that the model has."""
    if not formset.has_changed():
        return
    kept = [one for one in formset.forms if one not in formset.deleted_forms and one.cleaned_data]
    specs = [
        EndpointSpec(data["connection"], data["upstream_name"], data["weight"])
        for data in (one.cleaned_data for one in kept)
    ]
    set_endpoints(actor=request.user, model=model, endpoints=specs)
