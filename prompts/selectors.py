"""Whose conversations someone sees: only their own. Missing and foreign look the same."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Project, User
from accounts.selectors import list_member_projects
from foundation.errors import NotFound
from prompts.models import Conversation, Message
from usage.selectors import Bill, find_bill_of_call, is_process_alive

LIST_SIZE = 40
HISTORY_SIZE = 40


def list_visible_conversations(user: User, search: str = "") -> QuerySet[Conversation]:
    """A person's conversations, newest first; `search` looks in the titles."""
    rows = Conversation.objects.filter(user=user)
    return rows.filter(title__icontains=search) if search else rows


def page_of_conversations(user: User, search: str = "", after: str = "") -> tuple[list[Conversation], str]:
    """One page and the cursor of the next ("" at the end). A cursor that
    makes no sense starts from the top.
    """
    rows = list_visible_conversations(user, search)
    if position := _parse_cursor(after):
        moment, pk = position
        rows = rows.filter(Q(last_message_at__lt=moment) | Q(last_message_at=moment, pk__lt=pk))
    page = list(rows[: LIST_SIZE + 1])
    has_more = len(page) > LIST_SIZE
    page = page[:LIST_SIZE]
    return page, f"{page[-1].last_message_at.isoformat()}_{page[-1].pk}" if has_more else ""


def _parse_cursor(text: str) -> tuple[datetime, UUID] | None:
    try:
        moment_text, pk = text.split("_")
        moment = datetime.fromisoformat(moment_text)
        return (moment.astimezone(UTC), UUID(pk)) if moment.tzinfo else None
    except (ValueError, OverflowError):  # OverflowError: an hour before the year 1
        return None


def get_visible_conversation(user: User, pk: UUID | str) -> Conversation:
    """One of the person's conversations. Raises NotFound."""
    row = Conversation.objects.filter(user=user, pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such conversation."))
    return row


def get_visible_message(user: User, pk: UUID | str) -> Message:
    """A message of one of the person's conversations. Raises NotFound."""
    rows = Message.objects.select_related("conversation", "parent").prefetch_related("parts")
    row = rows.filter(conversation__user=user, pk=pk).first()
    if row is None:
        raise NotFound(_("There is no such message."))
    return row


def get_message_of(conversation: Conversation, pk: UUID | str) -> Message:
    """A message of this conversation, by what an address says. Raises NotFound, also of what is no id."""
    try:
        row = conversation.messages.filter(pk=pk).first()
    except ValidationError:
        row = None
    if row is None:
        raise NotFound(_("There is no such message."))
    return row


def list_bookings(user: User, conversation: Conversation | None) -> tuple[list[Project], UUID]:
    """The projects on which a conversation may be booked, the default one first, and the id of that on which
    its next call is: its own while the person is a member there.
    """
    projects = list(list_member_projects(user))
    chosen = conversation.project_id if conversation is not None else None
    return projects, chosen if chosen in {project.pk for project in projects} else projects[0].pk


def list_unfinished(conversation: Conversation) -> QuerySet[Message]:
    """The answers that are being written: at most one on a branch."""
    return conversation.messages.filter(status__in=Message.UNFINISHED)


def is_orphaned(message: Message) -> bool:
    """Whether an unfinished answer's process is gone."""
    if not message.is_unfinished or message.updated_at > timezone.now() - timedelta(seconds=3):
        return False
    return message.process_id is None or not is_process_alive(message.process_id)


def find_bill(message: Message) -> Bill | None:
    """What the ledger billed for an answer's last call; None while the bill is still to come."""
    return find_bill_of_call(message.call_id)
