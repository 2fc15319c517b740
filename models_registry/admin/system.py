"""The system administration's connections and models: what the platform offers to its tenants."""

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldBooleanWidget

from administration.sites import system_admin
from models_registry.admin.connections import ConnectionAdminBase, ConnectionForm
from models_registry.admin.endpoints import EndpointInline
from models_registry.admin.model_form import ModelForm
from models_registry.admin.models import ModelAdminBase
from models_registry.admin.prices import PriceInline
from models_registry.platform.models import Connection, Model, ModelEndpoint, ModelPrice


class PlatformConnectionForm(ConnectionForm):
    """Operators may let a connection reach private networks. (The model's own field is not editable, so the
    form's has another name.)
    """

    may_be_private = forms.BooleanField(
        label=_("May reach private networks"),
        required=False,
        widget=UnfoldBooleanWidget(),
        help_text=_("For model servers in your own network, such as http://10.0.0.5:8000/v1."),
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "may_be_private" in self.fields and not self.instance._state.adding:
            self.fields["may_be_private"].initial = self.instance.allow_private

    def more(self) -> dict:
        return {"allow_private": self.cleaned_data["may_be_private"]}


@admin.register(Connection, site=system_admin)
class PlatformConnectionAdmin(ConnectionAdminBase):
    form = PlatformConnectionForm
    extra_fields = ("may_be_private",)


class PlatformPriceInline(PriceInline):
    model = ModelPrice


class PlatformEndpointInline(EndpointInline):
    model = ModelEndpoint


class PlatformModelForm(ModelForm):
    class Meta(ModelForm.Meta):
        fields = [*ModelForm.Meta.fields, "plans"]


@admin.register(Model, site=system_admin)
class PlatformModelAdmin(ModelAdminBase):
    form = PlatformModelForm
    price_inline = PlatformPriceInline
    endpoint_inline = PlatformEndpointInline
    extra_fields = ("plans",)
