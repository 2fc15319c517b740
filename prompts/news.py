"""What another window wrote into a conversation: told to a page that shows it (static/js/tabs.js)."""

from dataclasses import dataclass

from prompts.branches import list_branch
from prompts.conclusions import as_concluded
from prompts.models import Conversation, Message
from prompts.pages import LONGEST_BRANCH
from prompts.selectors import get_message_of


@dataclass(frozen=True, slots=True)
class News:
    """`messages`: what follows on the branch that the page shows; none where the conversation went on in
    another. `is_anew`: instead, the last message of the page, which is being written once more.
    """

    messages: list[Message]
    is_anew: bool = False


def find_news(conversation: Conversation, *, since: str, shown: str, follows: bool) -> News | None:
    """None where there are none. `since`: the message written last, as far as the page knows; `shown`: the
    last of its branch; `follows`: it follows an answer in work. Raises NotFound: a message that is not of
    this conversation.
    """
    leaf = conversation.leaf
    if leaf is None:
        return None
    if str(leaf.pk) == since:
        is_anew = shown == since and not follows and as_concluded(leaf).is_unfinished
        return News([leaf], is_anew=True) if is_anew else None
    if not shown:
        return News([])
    return News([as_concluded(message) for message in _list_below(get_message_of(conversation, shown), leaf)])


def _list_below(message: Message, leaf: Message) -> list[Message]:
    """From behind a message to a leaf; none where that is on another branch, or far away."""
    count = leaf.position - message.position
    if not 0 < count <= LONGEST_BRANCH:
        return []
    first, *below = list_branch(leaf.pk, count + 1)
    return below if first.pk == message.pk else []
