"""This room's place in the rail."""

from django.utils.translation import gettext_lazy as _

from administration.rail import RailGroup, rail_place

rail_place(
    group=RailGroup.WORK,
    order=10,
    url_name="prompts:chat-home",
    icon="message-circle",
    title=_("Chat"),
    also=("prompts:conversation-detail", "prompts:conversation-list"),
)
