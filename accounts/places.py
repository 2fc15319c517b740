"""This room's places in the person's menu."""

from django.utils.translation import gettext_lazy as _

from administration.rail import RailGroup, rail_place

rail_place(
    group=RailGroup.OWN,
    order=10,
    url_name="accounts:profile",
    icon="user-round",
    title=_("Profile"),
    also=("account_email", "account_change_password", "account_set_password"),
)
rail_place(
    group=RailGroup.OWN,
    order=30,
    url_name="accounts:apikey-list",
    icon="key-round",
    title=_("API keys"),
    also=("accounts:apikey-create",),
)
