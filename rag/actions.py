"""What is done with several documents at once: what can be done is done, the rest is said."""

from collections.abc import Callable, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from foundation.errors import AtriumError, InvalidInput
from rag.intake import cancel_document, retry_document
from rag.models import Document
from rag.services import delete_document


def _retried(count: int) -> str:
    return ngettext("%(count)s document is tried again.", "%(count)s documents are tried again.", count)


def _stopped(count: int) -> str:
    return ngettext("%(count)s document is stopped.", "%(count)s documents are stopped.", count)


def _deleted(count: int) -> str:
    return ngettext("%(count)s document is deleted.", "%(count)s documents are deleted.", count)


VERBS: dict[str, tuple[Callable[..., object], Callable[[int], str]]] = {
    "retry": (retry_document, _retried),
    "cancel": (cancel_document, _stopped),
    "delete": (delete_document, _deleted),
}


def act_on(actor: User, verb: str, documents: Sequence[Document]) -> str:
    """What was done, in words. Raises InvalidInput where nothing could be."""
    if verb not in VERBS:
        raise InvalidInput(_("There is no such action."), param="action")
    if not documents:
        raise InvalidInput(_("Choose a document first."), param="documents")
    service, say = VERBS[verb]
    done, refusals = 0, []
    for document in documents:
        try:
            service(actor=actor, document=document)
            done += 1
        except AtriumError as exc:
            refusals.append(exc)
    if not done:
        raise refusals[0]
    text = say(done) % {"count": done}
    if refusals:
        left = ngettext("%(count)s was left as it is.", "%(count)s were left as they are.", len(refusals))
        text = f"{text} {left % {'count': len(refusals)}}"
    return text
