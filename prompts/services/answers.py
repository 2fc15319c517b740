"""What becomes of an answer: it grows, ends, is billed, or is concluded where its process is gone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from foundation.errors import NotFound
from foundation.told import Kept
from prompts.conclusions import interrupt
from prompts.drafts import Piece
from prompts.models import Conversation, Message, Part
from prompts.selectors import find_bill, is_orphaned
from tenants.work.duties import duty, note_duty
from usage.selectors import Bill

MAX_CODE_CHARS = 60
MAX_REASON_CHARS = 20
SWEEP_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """What became of an attempt at an answer, for its row. `is_billed`: the figures are those of the
    ledger, which knows no more of the call.
    """

    pieces: Sequence[Piece]
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


def note_call(*, message_id: UUID, request_id: str) -> None:
    """The attempt makes another call: its first one was refused."""
    Message.objects.filter(pk=message_id, status__in=Message.UNFINISHED).update(request_id=request_id)


def leave_project(*, message_id: UUID, project_id: UUID) -> None:
    """The person of the message's conversation is no member of its project any more: it is booked on the
    default one again.
    """
    Conversation.objects.filter(messages__pk=message_id, project=project_id).update(project=None)


@transaction.atomic
def save_progress(*, message_id: UUID, pieces: Sequence[Piece], first: int = 0) -> None:
    """Keep what has been written so far: the parts from the ordinal `first` on. An answer that was concluded
    meanwhile stays as it is.
    """
    rows = Message.objects.filter(pk=message_id, status__in=Message.UNFINISHED)
    if rows.update(status=Message.Status.STREAMING, updated_at=timezone.now()):
        write_parts(message_id, pieces, first)


def write_parts(message_id: UUID, pieces: Sequence[Piece], first: int = 0) -> None:
    """Let these be the parts of a message, from the ordinal `first` on."""
    Part.objects.filter(message_id=message_id, ordinal__gte=first + len(pieces)).delete()
    Part.objects.bulk_create(
        [
            Part(
                message_id=message_id,
                ordinal=ordinal,
                kind=piece.kind,
                text=piece.text,
                duration_ms=piece.duration_ms,
                data=piece.data,
            )
            for ordinal, piece in enumerate(pieces, first)
        ],
        update_conflicts=True,
        unique_fields=["message", "ordinal"],
        update_fields=["kind", "text", "duration_ms", "data"],
    )


@transaction.atomic
def finish_answer(*, message_id: UUID, result: AnswerResult) -> None:
    """Conclude an answer and add its bill to the conversation. Telling it twice is safe; a deleted
    conversation takes nothing back.
    """
    message = Message.objects.select_for_update(no_key=True).filter(pk=message_id).first()
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
    message.status = result.status
    message.model_name = result.model_name
    message.failed_model_name = result.failed_model_name
    message.notice = result.notice
    write_parts(message.pk, result.pieces)
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
    answer.
    """
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
        Message.objects.select_for_update(of=["self"], no_key=True)
        .select_related("conversation")
        .prefetch_related("parts")
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
