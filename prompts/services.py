"""Every write to conversations and messages."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from prompts.models import Conversation, Message
from prompts.selectors import is_orphaned
from tenants.duties import duty, note_duty
from tenants.errors import Conflict, InvalidInput, NotFound

MAX_TEXT_CHARS = 100_000
TITLE_CHARS = 60
MAX_CODE_CHARS = 60
SWEEP_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """What became of an answer, for its row."""

    text: str
    status: Message.Status
    model_name: str
    request_id: str = ""
    notice: str = ""
    error_code: str = ""
    error_message: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)
    currency: str = ""
    is_estimated: bool = False


@transaction.atomic
def start_turn(*, actor: User, text: str, model_name: str, process_id: UUID, conversation: Conversation | None = None) -> tuple[Message, Message]:
    """Write down a question and the answer that is to come; returns both. Raises InvalidInput (text), Conflict (an answer is being written)."""
    text = _checked_text(text)
    if conversation is None:
        conversation = Conversation(user=actor, title=_make_title(text), model_name=model_name, last_message_at=timezone.now())
        conversation.save()
    else:
        conversation = _lock(conversation)
    position = (conversation.messages.aggregate(last=Max("position"))["last"] or 0) + 1
    question = Message.objects.create(conversation=conversation, position=position, role=Message.Role.USER, text=text)
    answer = Message.objects.create(conversation=conversation, position=position + 1, role=Message.Role.ASSISTANT, status=Message.Status.PENDING,
                                    model_name=model_name, process_id=process_id)  # fmt: skip
    conversation.model_name, conversation.last_message_at = model_name, timezone.now()
    conversation.save(update_fields=["model_name", "last_message_at", "updated_at"])
    note_duty("answers", timezone.now() + SWEEP_AFTER)
    return question, answer


@transaction.atomic
def restart_answer(*, message: Message, model_name: str, process_id: UUID, keep_text: bool) -> Message:
    """Have the last answer written again, or (keep_text) continued where it stopped. Raises Conflict."""
    conversation = _lock(message.conversation)
    message.refresh_from_db()
    is_last = not conversation.messages.filter(position__gt=message.position).exists()
    if message.role != Message.Role.ASSISTANT or not is_last:
        raise Conflict(_("Only the last answer can be written again."), code="not_last_answer")
    if keep_text and message.status not in (Message.Status.STOPPED, Message.Status.INTERRUPTED, Message.Status.FAILED):
        raise Conflict(_("This answer is complete."), code="answer_complete")
    message.status, message.model_name, message.process_id = Message.Status.PENDING, model_name, process_id
    message.error_code = message.error_message = message.notice = ""
    message.created_at = timezone.now()  # the page counts the seconds of waiting from it
    if not keep_text:
        message.text = ""
    message.save()
    conversation.model_name = model_name
    conversation.save(update_fields=["model_name", "updated_at"])
    note_duty("answers", timezone.now() + SWEEP_AFTER)
    return message


def save_progress(*, message_id: UUID, text: str) -> None:
    """Keep what has been written so far; an answer that was concluded meanwhile stays as it is."""
    Message.objects.filter(pk=message_id, status__in=Message.UNFINISHED).update(text=text, status=Message.Status.STREAMING, updated_at=timezone.now())


@transaction.atomic
def finish_answer(*, message_id: UUID, result: AnswerResult) -> None:
    """Conclude an answer and add its bill to the conversation. Telling it twice is safe; a deleted conversation takes nothing back."""
    message = Message.objects.select_for_update().filter(pk=message_id).first()
    if message is None or (result.request_id and message.request_id == result.request_id):
        return
    tokens = result.input_tokens + result.output_tokens
    for field in ("status", "model_name", "request_id", "notice", "currency", "is_estimated"):
        setattr(message, field, getattr(result, field))
    for field in ("text", "error_code", "error_message"):  # in words of others: an answer that cannot be saved would never end
        setattr(message, field, getattr(result, field).replace("\0", ""))
    message.error_code = message.error_code[:MAX_CODE_CHARS]
    message.input_tokens += result.input_tokens  # a continued or repeated answer costs what all its attempts cost
    message.output_tokens += result.output_tokens
    message.cost += result.cost
    message.save()
    Conversation.objects.filter(pk=message.conversation_id).update(
        total_tokens=F("total_tokens") + tokens, total_cost=F("total_cost") + result.cost, currency=result.currency or F("currency"), updated_at=timezone.now()
    )


def conclude_if_orphaned(message: Message) -> Message:
    """Mark an answer as interrupted if the process that wrote it is gone; its text stays, and the ledger bills it."""
    if is_orphaned(message):
        Message.objects.filter(pk=message.pk, status__in=Message.UNFINISHED).update(status=Message.Status.INTERRUPTED, updated_at=timezone.now())
        message.refresh_from_db()
    return message


@duty("answers")
def conclude_orphaned_answers() -> None:
    """Of the active tenant: conclude what dead processes left, look again later while answers are being written."""
    rows = list(Message.objects.filter(status__in=Message.UNFINISHED)[:500])
    if [message for message in rows if conclude_if_orphaned(message).is_unfinished]:
        note_duty("answers", timezone.now() + SWEEP_AFTER)


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


def delete_conversation(*, conversation: Conversation) -> None:
    """Delete a conversation with its messages. What it cost stays in the ledger."""
    conversation.delete()


def _lock(conversation: Conversation) -> Conversation:
    """The conversation's row, locked. Raises Conflict while an answer is being written, NotFound if it was deleted meanwhile."""
    locked = Conversation.objects.select_for_update().filter(pk=conversation.pk).first()
    if locked is None:
        raise NotFound(_("There is no such conversation."))
    for message in locked.messages.filter(status__in=Message.UNFINISHED):
        if conclude_if_orphaned(message).is_unfinished:
            raise Conflict(_("An answer is still being written. Stop it, or wait until it is finished."), code="answer_in_progress")
    return locked


def _checked_text(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not text:
        raise InvalidInput(_("Write a message first."), param="text")
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidInput(_("A message may have at most %(limit)s characters.") % {"limit": MAX_TEXT_CHARS}, param="text")
    return text


def _make_title(text: str) -> str:
    line = " ".join(text.split())
    if len(line) <= TITLE_CHARS:
        return line
    cut = line[:TITLE_CHARS]
    return (cut.rsplit(" ", 1)[0] if " " in cut[20:] else cut) + "…"
