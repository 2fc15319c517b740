"""Conversations as rows, made past the services: for tests of what reads and shows them."""

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from foundation.ids import uuid7
from prompts.models import Conversation, Message
from tenants.context import platform
from usage.platform.models import Process


def make_conversation(
    user,
    title: str = "A question",
    *,
    turns: int = 1,
    age: timedelta = timedelta(0),
    model_name: str = "mock",
) -> Conversation:
    """A conversation of so many finished turns, whose last message is so old."""
    conversation = Conversation.objects.create(
        user=user, title=title, model_name=model_name, last_message_at=timezone.now() - age
    )
    Message.objects.bulk_create(
        Message(
            conversation=conversation,
            position=position,
            role="assistant" if position % 2 == 0 else "user",
            text=f"text {position}",
            model_name="mock",
        )
        for position in range(1, 2 * turns + 1)
    )
    return conversation


def last_answer(conversation: Conversation) -> Message:
    return conversation.messages.filter(role="assistant").last()


def make_unfinished(
    conversation: Conversation,
    process_id: UUID | None,
    *,
    age: timedelta = timedelta(minutes=1),
    text: str = "as far as it came",
) -> Message:
    """The last answer as one that a process is writing, last heard of so long ago."""
    message = last_answer(conversation)
    Message.objects.filter(pk=message.pk).update(
        status=Message.Status.STREAMING, process_id=process_id, text=text, updated_at=timezone.now() - age
    )
    message.refresh_from_db()
    return message


def make_process(*, is_alive: bool = True) -> UUID:
    """A process that gives signs of life, or one that has ended."""
    process_id = uuid7()
    with platform():
        Process.objects.create(
            pk=process_id, kind="web", host="test", ended_at=None if is_alive else timezone.now()
        )
    return process_id
