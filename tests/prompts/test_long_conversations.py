"""A conversation may be of any length: what the model cannot read is left out before it is asked, and
refusals do not end it.
"""

from uuid import UUID

import pytest

from prompts.models import Message
from tenants.context import tenant
from tests.live import TENANTS
from tests.prompts.chats import make_conversation
from tests.prompts.visitor import Visitor, said
from usage.models import UsageEvent

pytestmark = [pytest.mark.scope(TENANTS[0]), pytest.mark.timeout(180)]
Status = Message.Status
either_way = pytest.mark.parametrize("model", ["reads-160", "reads-160-unknown"])


@pytest.fixture
def bob(visit) -> Visitor:
    return visit()


def make_long(visitor: Visitor, turns: int) -> UUID:
    with tenant(visitor.slug):
        return make_conversation(visitor.user, turns=turns).pk


def codes_of(visitor: Visitor) -> list[str]:
    """Of all the visitor's calls, one after the other: why it failed, or nothing."""
    with tenant(visitor.slug):
        return list(
            UsageEvent.objects.filter(user_id=visitor.user.pk)
            .order_by("created_at")
            .values_list("error_code", flat=True)
        )


@pytest.mark.parametrize(("model", "most_calls"), [("reads-160", 1), ("reads-160-unknown", 7)])
def test_two_thousand_messages_are_answered(bob, model, most_calls):
    message = bob.finished(bob.ask("short question", model, make_long(bob, 1_000)))
    assert (message.status, message.text, message.notice) == (Status.DONE, said(8), "context_trimmed")
    *refused, last = codes_of(bob)
    assert last == "" and set(refused) <= {"context_length_exceeded"} and len(refused) + 1 <= most_calls
    assert 30 <= message.input_tokens <= 160


def test_a_long_chat_is_never_refused_and_fills_the_window(bob):
    message = None
    for turn in range(12):
        text = "word " * 20 if turn % 2 else "and a longer question " * 6
        message = bob.finished(bob.ask(text, "reads-160", message.conversation_id if message else None))
        assert message.status == Status.DONE
    assert codes_of(bob) == [""] * 12
    assert message.notice == "context_trimmed" and 110 <= message.input_tokens <= 160
    assert 3.5 < bob.conversation(message.conversation_id).bytes_per_token < 6


def test_a_little_bill_tells_nothing_of_the_texts(bob):
    message = bob.finished(bob.ask("two words", "reads-160"))
    assert message.input_tokens == 3 and bob.conversation(message.conversation_id).bytes_per_token is None


@either_way
def test_what_fits_is_asked_whole(bob, model):
    message = bob.finished(bob.ask("short question", model, make_long(bob, 4)))
    assert (message.status, message.notice, message.input_tokens) == (Status.DONE, "", 4 * (3 + 3) + 3)


@either_way
def test_a_question_too_long_by_itself_is_refused_in_plain_words_and_does_not_stay_in_the_way(bob, model):
    message = bob.finished(bob.ask("word " * 300, model, make_long(bob, 4)))
    assert (message.status, message.error_code, message.cost) == (Status.FAILED, "context_length_exceeded", 0)
    assert message.error_message.startswith("Even the last question by itself is too long")
    message = bob.finished(bob.ask("short question", model, message.conversation_id))
    assert (message.status, message.notice, message.input_tokens) == (Status.DONE, "context_trimmed", 3)


def test_texts_of_another_kind_are_refused_once_and_known_from_then_on(bob):
    """From long words to letters: the last bill says five bytes a token, and they are two."""
    conversation_id = None
    for text in ["word " * 25] * 6 + ["a " * 70] * 4:
        message = bob.finished(bob.ask(text, "reads-160", conversation_id))
        conversation_id = message.conversation_id
        assert message.status == Status.DONE
    assert codes_of(bob) == [""] * 6 + ["context_length_exceeded"] + [""] * 4


def test_an_answer_gets_the_room_that_was_left_for_it(bob):
    """Providers that add the longest answer to the question would refuse one as long as the window."""
    message = bob.finished(bob.ask("one two three four five six seven", "short-memory"))
    assert (message.text, message.finish_reason) == ("one two three four five", "length")
