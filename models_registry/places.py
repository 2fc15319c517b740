"""This room's place in the rail."""

from django.utils.translation import gettext_lazy as _

from administration.rail import RailGroup, rail_place

rail_place(
    group=RailGroup.BUILD,
    order=70,
    url_name="models_registry:model-list",
    icon="box",
    title=_("Models"),
    also=("models_registry:model-detail",),
)
