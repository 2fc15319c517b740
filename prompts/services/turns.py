"""Questions and the answers that are to come. Nothing that was said is taken away: a question put differently
and a further answer stand beside what was there.
"""

from collections.abc import Iterable, Sequence
from typing import NoReturn
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.selectors import get_default_project_id, get_member_project
from foundation.errors import Conflict, InvalidInput, NotFound
from foundation.ids import show_request_id, uuid7
from prompts.attachments import Brought, attach, copy_files
from prompts.drafts import Piece
from prompts.gone import CollectionsGone, find_gone
from prompts.models import Conversation, Message, Part
from prompts.policies import refuse_looser_policy
from prompts.selectors import get_message_of
from prompts.services.answers import SWEEP_AFTER, conclude_if_orphaned, write_parts
from tenants.work.duties import note_duty

MAX_TEXT_CHARS = 100_000
TITLE_CHARS = 60
MOST_COLLECTIONS = 20  # of one conversation


@transaction.atomic
def start_turn(
    *,
    actor: User,
    text: str,
    model_name: str,
    process_id: UUID,
    conversation: Conversation | None = None,
    parent_id: UUID | str | None = None,
    project_id: UUID | str | None = None,
    collection_ids: Sequence[UUID | str] | None = None,
    brought: Brought | None = None,
) -> tuple[Message, Message]:
    """Write down a question and the answer that is to come; returns both. It follows the answer `parent_id`,
    or the one that was written last; where another question does already, it makes a branch. From now on the
    conversation is booked on this project, if one is named, and answered from these collections, where they
    are named (an empty list: from none). Raises InvalidInput (text), NotFound (project, parent, collection),
    CollectionsGone, Conflict (an answer is being written).
    """
    text = _checked_text(text)
    if conversation is None:
        conversation = Conversation(
            user=actor, title=_make_title(text), model_name=model_name, last_message_at=timezone.now()
        )
        conversation.save()
    else:
        conversation = _lock(conversation)
    parent = _find_parent(conversation, parent_id)
    if project_id is not None:
        project = get_member_project(actor, project_id)
        refuse_looser_policy(conversation, project)
        conversation.project = None if project.is_default else project
    if collection_ids is not None:
        conversation.collection_ids = _find_collections(actor, conversation, collection_ids)
    question, answer = _ask(conversation, parent, text, model_name, process_id)
    if brought is not None:
        attach(actor=actor, question=question, brought=brought)
    return question, answer


def _find_collections(actor: User, conversation: Conversation, wanted: Sequence[UUID | str]) -> list[UUID]:
    """In the order in which they are named. Raises CollectionsGone: those that the person may not read."""
    if len(wanted) > MOST_COLLECTIONS:
        raise InvalidInput(
            _("At most %(limit)d collections can be searched at once.") % {"limit": MOST_COLLECTIONS},
            param="collections",
        )
    project_id = conversation.project_id or get_default_project_id()
    try:
        ids = list(dict.fromkeys(UUID(str(one)) for one in wanted))
    except ValueError:
        raise NotFound(_("There is no such collection."), param="collections") from None
    if gone := find_gone(actor, project_id, ids):
        raise CollectionsGone(gone)
    return ids


def _find_parent(conversation: Conversation, parent_id: UUID | str | None) -> Message | None:
    """The answer that a question follows. Raises NotFound, and Conflict while it is being written."""
    if parent_id is None:
        parent_id = conversation.leaf_id
    if parent_id is None:
        return None
    parent = get_message_of(conversation, parent_id)
    if parent.role != Message.Role.ASSISTANT:  # a question without its answer
        raise NotFound(_("There is no such message."))
    _refuse_unfinished([parent])
    return parent


@transaction.atomic
def edit_question(
    *, question: Message, text: str, model_name: str, process_id: UUID
) -> tuple[Message, Message]:
    """Put a question differently and have that answered; returns both. The question as it was stays beside
    it, with all that followed. Raises InvalidInput (text), Conflict. The conversation keeps its title.
    """
    text = _checked_text(text)
    conversation = _lock(question.conversation)
    if question.role != Message.Role.USER:
        raise Conflict(_("Only questions can be changed."), code="not_a_question")
    _refuse_unfinished(question.children.all())
    changed, answer = _ask(conversation, question.parent, text, model_name, process_id)
    copy_files(question, changed)
    return changed, answer


def _ask(
    conversation: Conversation, parent: Message | None, text: str, model_name: str, process_id: UUID
) -> tuple[Message, Message]:
    """In a conversation that is locked."""
    in_work = Message.objects.filter(
        conversation=conversation, parent=parent, children__status__in=Message.UNFINISHED
    )
    if any(question.text == text for question in in_work.prefetch_related("parts")):
        _refuse_now()  # it was sent twice
    question = Message.objects.create(
        conversation=conversation,
        parent=parent,
        position=parent.position + 1 if parent else 1,
        role=Message.Role.USER,
    )
    write_parts(question.pk, [Piece(Part.Kind.TEXT, text)])
    conversation.last_message_at = timezone.now()
    return question, _begin_answer(conversation, question, model_name, process_id)


@transaction.atomic
def answer_again(*, message: Message, model_name: str, process_id: UUID) -> Message:
    """Have an answer's question answered anew: by a further answer, beside those it has. Raises Conflict
    while one of them is being written.
    """
    conversation = _lock(message.conversation)
    question = message.parent
    if message.role != Message.Role.ASSISTANT or question is None:
        raise Conflict(_("Only answers can be written again."), code="not_an_answer")
    _refuse_unfinished(question.children.all())
    return _begin_answer(conversation, question, model_name, process_id)


def _begin_answer(
    conversation: Conversation, question: Message, model_name: str, process_id: UUID
) -> Message:
    answer = Message(
        conversation=conversation,
        parent=question,
        position=question.position + 1,
        role=Message.Role.ASSISTANT,
    )
    _begin_attempt(answer, model_name, process_id)
    answer.save()
    conversation.leaf = answer
    conversation.model_name = model_name
    conversation.save(
        update_fields=["project", "collection_ids", "leaf", "model_name", "last_message_at", "updated_at"]
    )
    return answer


@transaction.atomic
def continue_answer(*, message: Message, model_name: str, process_id: UUID) -> Message:
    """Have an answer that broke off go on where it stopped. Raises Conflict: also where the conversation went
    on from it, since what follows was said to the answer as it is.
    """
    conversation = _lock(message.conversation)
    message.refresh_from_db()
    if message.role != Message.Role.ASSISTANT or message.children.exists():
        raise Conflict(_("Only the last answer can be continued."), code="not_last_answer")
    _refuse_unfinished([message])
    if not message.can_continue:
        raise Conflict(_("This answer is complete."), code="answer_complete")
    _begin_attempt(message, model_name, process_id)
    message.save()
    conversation.leaf = message  # its model may be one that another stood in for
    conversation.save(update_fields=["leaf", "updated_at"])
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
    note_duty("answers", timezone.now() + SWEEP_AFTER)


def _lock(conversation: Conversation) -> Conversation:
    """The conversation's row, locked. Raises NotFound if it was deleted meanwhile."""
    locked = Conversation.objects.select_for_update().filter(pk=conversation.pk).first()
    if locked is None:
        raise NotFound(_("There is no such conversation."))
    return locked


def _refuse_unfinished(answers: Iterable[Message]) -> None:
    """Raises Conflict while one of them is being written."""
    if any(conclude_if_orphaned(message).is_unfinished for message in answers if message.is_unfinished):
        _refuse_now()


def _refuse_now() -> NoReturn:
    raise Conflict(
        _("An answer is still being written. Stop it, or wait until it is finished."),
        code="answer_in_progress",
    )


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
