"""What an answer's row says when an attempt at it has ended. Nothing here writes to the database."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from prompts.models import Message
from prompts.selectors import is_orphaned

KEPT_ASIDE = ("text", "status", "model_name", "failed_model_name", "finish_reason", "notice")
FIGURES = ("input_tokens", "output_tokens", "currency", "is_estimated")
NOT_REPLACED = "not_replaced"


def set_aside(message: Message) -> None:
    """Begin with an empty answer. The one so far is kept with its own figures, for the case that the attempt
    brings no text.
    """
    if message.text:
        kept: dict[str, Any] = {name: getattr(message, name) for name in (*KEPT_ASIDE, *FIGURES)}
        message.replaced = kept | {"cost": str(message.cost), "created_at": message.created_at.isoformat()}
    message.text = ""
    _clear_figures(message)


def _clear_figures(message: Message) -> None:
    message.input_tokens = message.output_tokens = 0
    message.cost, message.currency, message.is_estimated = Decimal(0), "", False


def settle_text(
    message: Message,
    *,
    text: str,
    status: Message.Status,
    model_name: str,
    failed_model_name: str,
    notice: str,
) -> None:
    """Give an attempt's text to its message, or, if there is none, the earlier answer back."""
    if text or message.replaced is None:
        if NOT_REPLACED in message.notice:  # its process was taken for dead
            _clear_figures(message)
        message.text = text
        message.status = status
        message.model_name = model_name
        message.failed_model_name = failed_model_name
        message.notice = notice
        message.replaced = None
        return
    for field in (*KEPT_ASIDE, *FIGURES):
        if field in message.replaced:  # rows of the release before have no figures
            setattr(message, field, message.replaced[field])
    message.cost = Decimal(message.replaced.get("cost", message.cost))
    message.notice = add_notice(message.notice, NOT_REPLACED)
    message.created_at = datetime.fromisoformat(message.replaced["created_at"])


def interrupt(message: Message) -> None:
    """Let the message end as it stands: its process is gone."""
    settle_text(
        message,
        text=message.text,
        status=Message.Status.INTERRUPTED,
        model_name=message.model_name,
        failed_model_name=message.failed_model_name,
        notice=message.notice,
    )


def add_notice(notice: str, code: str) -> str:
    return " ".join([*(other for other in notice.split() if other != code), code])


def as_concluded(message: Message) -> Message:
    """The message as it will stand once the duty has concluded it: for whoever looks meanwhile."""
    if is_orphaned(message):
        interrupt(message)
    return message
