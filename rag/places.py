"""This room's place in the rail."""

from django.utils.translation import gettext_lazy as _

from administration.rail import RailGroup, rail_place

rail_place(
    group=RailGroup.WORK,
    order=30,
    url_name="rag:collection-list",
    icon="library",
    title=_("Knowledge"),
    also=(
        "rag:collection-create",
        "rag:collection-detail",
        "rag:collection-search",
        "rag:collection-graph",
        "rag:collection-access",
        "rag:collection-settings",
        "rag:document-detail",
        "rag:document-passages",
    ),
)
