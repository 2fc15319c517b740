"""Conversations as rows, made past the services: for tests of what reads and shows them."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from foundation.ids import uuid7
from prompts.drafts import Piece
from prompts.models import Conversation, Message, Part
from prompts.services import write_parts
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
    add_turns(conversation, turns)
    return conversation


def add_turns(conversation: Conversation, turns: int, parent: Message | None = None) -> list[Message]:
    """So many finished turns more, after a message of the conversation or as its beginning; its branch ends
    with them.
    """
    messages: list[Message] = []
    for number in range(2 * turns):
        before = messages[-1] if messages else parent
        message = Message(
            conversation=conversation,
            parent=before,
            position=before.position + 1 if before else 1,
            role="assistant" if number % 2 else "user",
            model_name="mock",
        )
        messages.append(message)
    Message.objects.bulk_create(messages)
    Part.objects.bulk_create(
        Part(message=message, ordinal=0, kind="text", text=f"text {message.position}") for message in messages
    )
    if messages:
        conversation.leaf = messages[-1]
        conversation.save()
    return messages


def say(messages: Message | Iterable[Message], text: str) -> None:
    """Let this be all that the messages say."""
    for message in [messages] if isinstance(messages, Message) else messages:
        write_parts(message.pk, [Piece(Part.Kind.TEXT, text)] if text else [])


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
    say(message, text)
    Message.objects.filter(pk=message.pk).update(
        status=Message.Status.STREAMING, process_id=process_id, updated_at=timezone.now() - age
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
