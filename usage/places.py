"""This room's place in the rail."""

from django.utils.translation import gettext_lazy as _

from administration.rail import rail_place

rail_place(order=80, url_name="usage:my-usage", icon="chart-column", title=_("Usage"))
