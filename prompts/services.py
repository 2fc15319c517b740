"""Every write to conversations and messages."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.selectors import get_member_project
from foundation.errors import Conflict, InvalidInput, NotFound
from foundation.ids import show_request_id, uuid7
from foundation.told import Kept
from prompts.conclusions import NOT_REPLACED, add_notice, interrupt, set_aside, settle_text
from prompts.models import Conversation, Message
from prompts.policies import refuse_looser_policy
from prompts.running import stop_answer
from prompts.selectors import find_bill, is_orphaned, list_unfinished
from tenants.context import current_tenant
from tenants.work.duties import duty, note_duty
from usage.selectors import Bill

MAX_TEXT_CHARS = 100_000
TITLE_CHARS = 60
MAX_CODE_CHARS = 60
MAX_REASON_CHARS = 20
SWEEP_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """What became of an attempt at an answer, for its row. `is_billed`: the figures are those of the
    ledger, which knows no more of the call.
    """

    text: str
    status: Message.Status
    model_name: str
    request_id: str
    failed_model_name: str = ""  # of the model that another one stood in for
    earlier_request_ids: tuple[str, ...] = ()  # calls of the same attempt that were refused
    is_billed: bool = True
    finish_reason: str = ""
    notice: str = ""
    error_code: str = ""
    error_message: str = ""
    error_language: str = ""
    error_words: Kept | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal = Decimal(0)
    currency: str = ""
    is_estimated: bool = False
    bytes_per_token: float | None = None  # of what was asked, if the bill tells


@transaction.atomic
def start_turn(
    *,
    actor: User,
    text: str,
    model_name: str,
    process_id: UUID,
    conversation: Conversation | None = None,
    project_id: UUID | str | None = None,
) -> tuple[Message, Message]:
    """Write down a question and the answer that is to come; returns both. From now on the conversation is
    booked on this project, if one is named. Raises InvalidInput (text), NotFound (project), Conflict (an
    answer is being written).
    """
    text = _checked_text(text)
    if conversation is None:
        conversation = Conversation(
            user=actor, title=_make_title(text), model_name=model_name, last_message_at=timezone.now()
        )
        conversation.save()
    else:
        conversation = _lock(conversation)
    if project_id is not None:
        project = get_member_project(actor, project_id)
        refuse_looser_policy(conversation, project)
        conversation.project = None if project.is_default else project
    position = (conversation.messages.aggregate(last=Max("position"))["last"] or 0) + 1
    question = Message.objects.create(
        conversation=conversation, position=position, role=Message.Role.USER, text=text
    )
    answer = Message(conversation=conversation, position=position + 1, role=Message.Role.ASSISTANT)
    _begin_attempt(answer, model_name, process_id)
    answer.save()
    conversation.model_name = model_name
    conversation.last_message_at = timezone.now()
    conversation.save(update_fields=["project", "model_name", "last_message_at", "updated_at"])
    note_duty("answers", timezone.now() + SWEEP_AFTER)
    return question, answer


@transaction.atomic
def edit_question(
    *, question: Message, text: str, model_name: str, process_id: UUID
) -> tuple[Message, Message]:
    """Put the last question differently and have it answered anew; returns both. Raises InvalidInput (text),
    Conflict. The conversation keeps its title.

    The answer so far is kept aside as restart_answer does; if it comes back, it says that it was given to
    another question.
    """
    text = _checked_text(text)
    conversation = _lock(question.conversation)
    question.refresh_from_db()
    answer = conversation.messages.last()
    if answer is None or question.role != Message.Role.USER or answer.position != question.position + 1:
        raise Conflict(_("Only the last question can be changed."), code="not_last_question")
    if text != question.text:
        question.text = text
        answer.notice = add_notice(answer.notice, Message.OF_EARLIER_QUESTION)
        answer.save(update_fields=["notice", "updated_at"])
    now = timezone.now()
    question.created_at = now
    conversation.last_message_at = now
    question.save(update_fields=["text", "created_at", "updated_at"])
    conversation.save(update_fields=["last_message_at", "updated_at"])
    return question, restart_answer(
        message=answer, model_name=model_name, process_id=process_id, keep_text=False
    )


@transaction.atomic
def restart_answer(*, message: Message, model_name: str, process_id: UUID, keep_text: bool) -> Message:
    """Have the last answer written again, or (keep_text) continued where it stopped. Raises Conflict.

    An answer that is written again is kept aside until the new one has text: an attempt that fails takes
    nothing away.
    """
    conversation = _lock(message.conversation)
    message.refresh_from_db()
    is_last = not conversation.messages.filter(position__gt=message.position).exists()
    if message.role != Message.Role.ASSISTANT or not is_last:
        raise Conflict(_("Only the last answer can be written again."), code="not_last_answer")
    if keep_text and not message.can_continue:
        raise Conflict(_("This answer is complete."), code="answer_complete")
    message.replaced = None
    if not keep_text:
        set_aside(message)
    _begin_attempt(message, model_name, process_id)
    message.save()
    if not keep_text:  # what goes on may be what another model stood in for
        conversation.model_name = model_name
    conversation.save(update_fields=["model_name", "updated_at"])
    note_duty("answers", timezone.now() + SWEEP_AFTER)
    return message


def _begin_attempt(message: Message, model_name: str, process_id: UUID) -> None:
    message.status = Message.Status.PENDING
    message.model_name = model_name
    message.failed_model_name = ""
    message.process_id = process_id
    message.request_id = show_request_id(uuid7())
    message.is_billed = False
    message.error_code = ""
    message.error_message = message.error_language = ""
    message.error_words = None
    message.notice = ""
    message.finish_reason = ""
    message.created_at = timezone.now()  # the page counts the seconds of waiting from it


def note_call(*, message_id: UUID, request_id: str) -> None:
    """The attempt makes another call: its first one was refused."""
    Message.objects.filter(pk=message_id, status__in=Message.UNFINISHED).update(request_id=request_id)


def leave_project(*, message_id: UUID, project_id: UUID) -> None:
    """The person of the message's conversation is no member of its project any more: it is booked on the
    default one again.
    """
    Conversation.objects.filter(messages__pk=message_id, project=project_id).update(project=None)


def save_progress(*, message_id: UUID, text: str) -> None:
    """Keep what has been written so far; an answer that was concluded meanwhile stays as it is."""
    Message.objects.filter(pk=message_id, status__in=Message.UNFINISHED).update(
        text=text, status=Message.Status.STREAMING, updated_at=timezone.now()
    )


@transaction.atomic
def finish_answer(*, message_id: UUID, result: AnswerResult) -> None:
    """Conclude an answer and add its bill to the conversation. Telling it twice is safe; a deleted
    conversation takes nothing back.
    """
    message = Message.objects.select_for_update().filter(pk=message_id).first()
    # deleted, or another attempt has begun since
    if message is None or message.request_id not in (result.request_id, *result.earlier_request_ids):
        return
    message.request_id = result.request_id
    # in words of others: an answer that cannot be saved would never end
    for field in ("error_code", "error_message", "error_language", "finish_reason"):
        setattr(message, field, getattr(result, field).replace("\0", ""))
    message.error_words = result.error_words
    message.error_code = message.error_code[:MAX_CODE_CHARS]
    message.finish_reason = message.finish_reason[:MAX_REASON_CHARS]
    settle_text(
        message,
        text=result.text.replace("\0", ""),
        status=result.status,
        model_name=result.model_name,
        failed_model_name=result.failed_model_name,
        notice=result.notice,
    )
    if not message.is_billed:
        message.is_billed = result.is_billed
        _add_bill(
            message,
            Bill(
                tokens_read=result.input_tokens,
                tokens_written=result.output_tokens,
                cost=result.cost,
                currency=result.currency,
                is_estimated=result.is_estimated,
            ),
        )
    if result.bytes_per_token:
        Conversation.objects.filter(pk=message.conversation_id).update(bytes_per_token=result.bytes_per_token)
    message.save()


def _add_bill(message: Message, bill: Bill) -> None:
    """An answer shows what it cost itself, with all that continued it; the conversation's sums have every
    attempt.
    """
    if NOT_REPLACED not in message.notice:  # else what is shown is an earlier answer than the one billed
        message.input_tokens += bill.tokens_read
        message.output_tokens += bill.tokens_written
        message.cost += bill.cost
        message.currency = bill.currency or message.currency
        message.is_estimated = message.is_estimated or bill.is_estimated
    Conversation.objects.filter(pk=message.conversation_id).update(
        total_tokens=F("total_tokens") + bill.tokens_read + bill.tokens_written,
        total_cost=F("total_cost") + bill.cost,
        currency=bill.currency or F("currency"),
        updated_at=timezone.now(),
    )


def conclude_if_orphaned(message: Message) -> Message:
    """Mark an answer as interrupted if the process that wrote it is gone; its text stays. Its bill is taken
    from the ledger as soon as it is there.
    """
    if is_orphaned(message):
        message = _change_locked(message, _conclude_orphan)
    if not message.is_unfinished and not message.is_billed:
        message = _change_locked(message, _take_bill)
    return message


@transaction.atomic
def _change_locked(message: Message, change: Callable[[Message], None]) -> Message:
    locked = (
        Message.objects.select_for_update(of=["self"])
        .select_related("conversation")
        .filter(pk=message.pk)
        .first()
    )
    if locked is None:
        raise NotFound(_("There is no such message."))
    change(locked)
    return locked


def _conclude_orphan(message: Message) -> None:
    if message.is_unfinished:
        interrupt(message)
        message.save()


def _take_bill(message: Message) -> None:
    bill = None if message.is_billed else find_bill(message)
    if bill is not None:
        message.is_billed = True
        _add_bill(message, bill)
        message.save()


@duty("answers")
def conclude_orphaned_answers() -> None:
    """Of the active tenant: conclude what dead processes left, with its bill; look again later while answers
    are being written or bills are to come.
    """
    rows = list(Message.objects.filter(Q(status__in=Message.UNFINISHED) | Q(is_billed=False))[:500])
    looked_at = [conclude_if_orphaned(message) for message in rows]
    if any(message.is_unfinished or not message.is_billed for message in looked_at):
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


@transaction.atomic
def delete_conversation(*, conversation: Conversation) -> None:
    """Delete a conversation with its messages, and stop the answer that is being written. What it cost stays
    in the ledger.
    """
    for message in list_unfinished(conversation):
        transaction.on_commit(partial(stop_answer, current_tenant(), message))
    conversation.delete()


def _lock(conversation: Conversation) -> Conversation:
    """The conversation's row, locked. Raises Conflict while an answer is being written, NotFound if it was
    deleted meanwhile.
    """
    locked = Conversation.objects.select_for_update().filter(pk=conversation.pk).first()
    if locked is None:
        raise NotFound(_("There is no such conversation."))
    for message in locked.messages.filter(status__in=Message.UNFINISHED):
        if conclude_if_orphaned(message).is_unfinished:
            raise Conflict(
                _("An answer is still being written. Stop it, or wait until it is finished."),
                code="answer_in_progress",
            )
    return locked


def _checked_text(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not text:
        raise InvalidInput(_("Write a message first."), param="text")
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidInput(
            _("A message may have at most %(limit)s characters.") % {"limit": MAX_TEXT_CHARS}, param="text"
        )
    return text


def _make_title(text: str) -> str:
    line = " ".join(text.split())
    if len(line) <= TITLE_CHARS:
        return line
    cut = line[:TITLE_CHARS]
    return (cut.rsplit(" ", 1)[0] if " " in cut[20:] else cut) + "…"
