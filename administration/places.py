"""The administration's place in the rail."""

from django.utils.translation import gettext_lazy as _

from administration.rail import RailGroup, rail_place

rail_place(
    group=RailGroup.RUN,
    order=10,
    url_name="service:index",
    icon="sliders-horizontal",
    title=_("Administration"),
    is_visible=lambda user: user.is_staff,
)
