"""This room's place in the person's menu."""

from django.utils.translation import gettext_lazy as _

from administration.rail import RailGroup, rail_place

rail_place(group=RailGroup.OWN, order=20, url_name="usage:my-usage", icon="chart-column", title=_("Usage"))
