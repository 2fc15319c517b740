"""Conversations as a whole."""

from functools import partial

from django.db import transaction
from django.utils.translation import gettext as _

from foundation.errors import InvalidInput
from prompts.attachments import drop_collection
from prompts.models import Conversation
from prompts.running import stop_answer
from prompts.selectors import list_unfinished
from tenants.context import current_tenant


@transaction.atomic
def rename_conversation(*, conversation: Conversation, title: str) -> Conversation:
    """Give a conversation another title. Raises InvalidInput."""
    title = " ".join(title.replace("\0", "").split())
    if not title:
        raise InvalidInput(_("The title must not be empty."), param="title")
    if len(title) > 200:
        raise InvalidInput(_("The title may have at most 200 characters."), param="title")
    conversation.title = title
    conversation.save(update_fields=["title", "updated_at"])
    return conversation


@transaction.atomic
def delete_conversation(*, conversation: Conversation) -> None:
    """Delete a conversation with its messages and its files, and stop the answer that is being written. What
    it cost stays in the ledger.
    """
    for message in list_unfinished(conversation):
        transaction.on_commit(partial(stop_answer, current_tenant(), message))
    drop_collection(conversation)
    conversation.delete()
