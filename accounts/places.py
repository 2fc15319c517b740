"""This room's place in the rail."""

from django.utils.translation import gettext_lazy as _

from administration.rail import rail_place

rail_place(
    order=90,
    url_name="accounts:apikey-list",
    icon="key-round",
    title=_("API keys"),
    also=("accounts:apikey-create",),
)
