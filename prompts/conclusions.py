"""How an answer stands whose process is gone. Nothing here writes to the database."""

from prompts.models import Message
from prompts.selectors import is_orphaned


def interrupt(message: Message) -> None:
    """Let the message end as it stands."""
    message.status = Message.Status.INTERRUPTED


def as_concluded(message: Message) -> Message:
    """The message as it will stand once the duty has concluded it: for whoever looks meanwhile."""
    if is_orphaned(message):
        interrupt(message)
    return message
