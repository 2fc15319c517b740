"""Conversations in the tenant administration: who, when, how much. Titles and texts are people's own and stay
out of it, titles too.
"""

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateFilter
from unfold.decorators import display

from administration.columns import ago, figure
from administration.menu import MenuGroup, Place
from administration.model_admin import ListOnlyAdmin
from administration.sites import service_admin
from foundation.amounts import money_cell
from prompts.models import Conversation


@admin.register(Conversation, site=service_admin)
class ConversationAdmin(ListOnlyAdmin):
    place = Place(MenuGroup.CHAT, 10, "messages-square")
    empty_text = _(
        "Once people chat, you see here who chats how much. What they write is theirs: neither titles nor "
        "messages are shown."
    )
    list_display = [
        "show_person",
        "model_name",
        figure("message_count", _("messages")),
        figure("total_tokens", _("tokens")),
        "show_cost",
        ago("last_message_at", _("last message")),
        ago("created_at", _("begun")),
    ]
    list_filter = [("last_message_at", RangeDateFilter), ("user", AutocompleteSelectFilter)]
    search_fields = ["user__name", "user__email", "model_name"]
    list_select_related = ["user"]
    date_hierarchy = "last_message_at"
    ordering = ["-last_message_at", "-pk"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        return super().get_queryset(request).defer("title").annotate(message_count=Count("messages"))

    @display(description=_("person"), ordering="user__name", header=True)
    def show_person(self, row: Conversation) -> list[str]:
        return [row.user.name, row.user.email]

    @display(description=_("cost"), ordering="total_cost")
    def show_cost(self, row: Conversation) -> str:
        return money_cell(row.total_cost, row.currency) if row.currency else "–"  # no call yet
