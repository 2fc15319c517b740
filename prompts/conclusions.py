"""What an answer's row says when an attempt at it has ended. Nothing here writes to the database."""

from datetime import datetime

from prompts.models import Message
from prompts.selectors import is_orphaned

KEPT_ASIDE = ("text", "status", "model_name", "finish_reason", "notice")
NOT_REPLACED = "not_replaced"


def settle_text(message: Message, text: str, status: Message.Status, model_name: str, notice: str) -> None:
    """Give an attempt's text to its message, or, if there is none, the earlier answer back."""
    if text or message.replaced is None:
        message.text = text
        message.status = status
        message.model_name = model_name
        message.notice = notice
        message.replaced = None
        return
    for field in KEPT_ASIDE:
        setattr(message, field, message.replaced[field])
    message.notice = add_notice(message.notice, NOT_REPLACED)
    message.created_at = datetime.fromisoformat(message.replaced["created_at"])


def interrupt(message: Message) -> None:
    """Let the message end as it stands: its process is gone."""
    settle_text(message, message.text, Message.Status.INTERRUPTED, message.model_name, message.notice)


def add_notice(notice: str, code: str) -> str:
    return " ".join([*(other for other in notice.split() if other != code), code])


def as_concluded(message: Message) -> Message:
    """The message as it will stand once the duty has concluded it: for whoever looks meanwhile."""
    if is_orphaned(message):
        interrupt(message)
    return message
