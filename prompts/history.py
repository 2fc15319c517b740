"""What a model is asked with: the newest turns of a branch, as many as it can probably read.

A turn is a question with its answer, if it has one. Tokens are told from bytes: of the conversation's own
last bill, else of a cautious guess.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from uuid import UUID

from foundation.errors import NotFound
from foundation.told import gettext as _
from gateway.calls import Call
from gateway.operations.chat_completions.request import MAX_MESSAGES
from models_registry.routes import Route
from prompts.branches import read_upwards
from prompts.models import Message

CONTINUE_PROMPT = "Continue exactly where you stopped. Do not repeat anything."

# What the next question could only repeat: the answer to such a question never comes, so
# the conversation goes on without it.
REFUSED_FOR_CONTENT = ("content_filter", "upstream_invalid_request")

# atrium-tiny has 2.4 in English and German, 2.1 in Chinese; large vocabularies have 3 to 5
BYTES_PER_TOKEN_GUESS = 1.8
# no tokenizer makes more tokens of a text than it has bytes; what seems so is a prompt that the provider adds
LEAST_BYTES_PER_TOKEN = 1.0
# the next texts may have more tokens than the last: with this share no ordinary turn of atrium-tiny is
# refused
CAUTION = 0.9
TELLING_SHARE = 8  # a bill of less than this part of the window says more of templates than of texts
FRAME_BYTES = 12  # for role and delimiters of a message, five to seven tokens in atrium-tiny
MOST_BYTES = 8_000_000  # some two million tokens: no model reads more
MOST_TURNS = MAX_MESSAGES // 2 - 1  # of two messages each, and the wish to go on

Turn = list[dict]


@dataclass(frozen=True, slots=True)
class Room:
    """A known context window, shared out in tokens."""

    messages: int
    answer: int


def find_room(route: Route | None) -> Room | None:
    """The usual longest answer is left room, but no more than half of the window; None where the window is
    unknown.
    """
    if route is None or not route.context_window:
        return None
    window = route.context_window
    answer = max(1, min(route.default_max_output_tokens, route.max_output_tokens or window, window // 2))
    return Room(messages=window - answer, answer=answer)


def find_widest_room(routes: Iterable[Route]) -> Room | None:
    """That of the model which holds most, where one is to be chosen; None where no window is known."""
    rooms = [room for route in routes if (room := find_room(route))]
    return max(rooms, key=lambda room: room.messages, default=None)


def read_history(
    message_id: UUID,
    user_id: UUID,
    room: Room | None = None,
    *,
    is_continued: bool = False,
    taken_bytes: int = 0,
) -> tuple[list[Turn], bool]:
    """The turns before a person's answer on its branch, with what it already says, in OpenAI's form; and
    whether older ones were left out for want of room. `is_continued`: what it says stands last, to be gone
    on with; otherwise the model is asked to. `taken_bytes`: of the room, by what else the model is given.

    The last turn is always there. Reasoning is not sent back. Failed answers without text are left out, and
    so are answers to what a question said before it was changed, and questions that were refused for what
    they say.
    """
    message = (
        Message.objects.select_related("conversation")
        .prefetch_related("parts")
        .filter(pk=message_id, conversation__user_id=user_id)
        .first()
    )
    if message is None:
        raise NotFound(_("There is no such message."))
    most_bytes, size_bytes = count_room(room, message.conversation.bytes_per_token), taken_bytes
    turns: list[Turn] = []
    turn: Turn = []
    if text := message.text:
        turn = [{"role": "assistant", "content": text}]
        turn += [] if is_continued else [{"role": "user", "content": CONTINUE_PROMPT}]
    for role, said in _read_backwards(message):  # so that what cannot fit is not read
        turn.insert(0, {"role": role, "content": said})
        if role == Message.Role.USER:
            size_bytes += count_bytes(turn)
            if turns and (size_bytes > most_bytes or len(turns) >= MOST_TURNS):
                return turns[::-1], True
            turns.append(turn)
            turn = []
    if turn:
        turns.append(turn)
    return turns[::-1], False


def _read_backwards(message: Message) -> Iterator[tuple[str, str]]:
    """(role, text) of what counts before a message on its branch, the newest first."""
    is_refused = False
    for earlier in read_upwards(message):
        is_answer = earlier.role == Message.Role.ASSISTANT
        text = earlier.text
        if is_answer and (not text or Message.OF_EARLIER_QUESTION in earlier.notice):
            is_refused = earlier.error_code in REFUSED_FOR_CONTENT
        elif is_answer or not is_refused:
            is_refused = False
            yield earlier.role, text
        else:
            is_refused = False


def count_room(room: Room | None, bytes_per_token: float | None) -> float:
    """In bytes of texts, cautiously."""
    if room is None:
        return MOST_BYTES
    return min(
        MOST_BYTES, room.messages * (bytes_per_token * CAUTION if bytes_per_token else BYTES_PER_TOKEN_GUESS)
    )


def count_bytes(messages: list[dict]) -> int:
    return sum(len(message["content"].encode()) + FRAME_BYTES for message in messages)


def measure_bytes_per_token(call: Call) -> float | None:
    """What a bill tells of a conversation's texts; None if it is no provider's count, or too small a one."""
    if call.usage is None or call.is_estimated:
        return None
    tokens, window = call.usage.total_input, call.route.context_window
    if not window or tokens * TELLING_SHARE < window:
        return None
    return max(LEAST_BYTES_PER_TOKEN, count_bytes(call.body["messages"]) / tokens)


def keep_newer_half(turns: list[Turn]) -> list[Turn]:
    """Fewer turns, at least one: however long a conversation is, some ten steps lead to its last question."""
    return turns[len(turns) // 2 :]


def join_turns(turns: list[Turn]) -> list[dict]:
    """All messages. Questions that follow each other, since the answer between them failed, as one: many
    models refuse two of one role in a row.
    """
    messages = chain.from_iterable(turns)
    groups = [
        (role, [message["content"] for message in group])
        for role, group in groupby(messages, key=itemgetter("role"))
    ]
    return [{"role": role, "content": "\n\n".join(texts)} for role, texts in groups]
