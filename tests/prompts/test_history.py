"""How much of a conversation a model is asked with."""

import tracemalloc
from decimal import Decimal

import pytest

from foundation.ids import uuid7
from gateway.operations.chat_completions.request import MAX_MESSAGES
from models_registry.routes import Endpoint, Route, Target
from prompts import history
from prompts.history import CONTINUE_PROMPT, FRAME_BYTES, Room, find_room, keep_newer_half, read_history
from prompts.models import Conversation, Message, Part
from tests.prompts.chats import last_answer, make_conversation, say
from usage.pricing import Price

pytestmark = pytest.mark.django_db
Status = Message.Status
FREE = Price("EUR", Decimal(0), Decimal(0), Decimal(0), Decimal(0))


def a_history(alice, turns: int, text: str = "x" * 88) -> Message:
    """The pending answer after so many turns, each of whose messages counts 100 bytes."""
    conversation = make_conversation(alice, turns=turns + 1)
    Part.objects.filter(message__conversation=conversation).update(text=text)
    answer = last_answer(conversation)
    say(answer, "")
    Message.objects.filter(pk=answer.pk).update(status=Status.PENDING)
    return answer


def room_for(messages: float) -> Room:
    """Room for so many messages of `a_history` by the bill that `learn` leaves."""
    return Room(messages=round(messages * (88 + FRAME_BYTES)), answer=1)


def learn(answer: Message, bytes_per_token: float = 1 / 0.9) -> None:
    """As if the last bill had told it; the default makes a byte a token, caution included."""
    Conversation.objects.filter(pk=answer.conversation_id).update(bytes_per_token=bytes_per_token)


@pytest.mark.parametrize(
    ("room", "turns", "is_trimmed"),
    [
        (None, 5, False),
        (room_for(11.01), 5, False),
        (room_for(9.01), 4, True),
        (room_for(8.9), 3, True),
        (room_for(1.01), 0, True),
        (room_for(0.1), 0, True),
    ],
)
def test_the_newest_turns_that_fit_are_read(alice, room, turns, is_trimmed):
    answer = a_history(alice, 5)
    learn(answer)
    read, was_trimmed = read_history(answer.pk, alice.pk, room)
    assert ([[message["role"] for message in turn] for turn in read], was_trimmed) == (
        [["user", "assistant"]] * turns + [["user"]],
        is_trimmed,
    )


def test_no_more_is_read_than_a_call_may_hold(alice, monkeypatch):
    """Many short turns fit into a large window, and a call has a most of messages."""
    assert 2 * (history.MOST_TURNS + 1) <= MAX_MESSAGES
    monkeypatch.setattr(history, "MOST_TURNS", 3)
    read, was_trimmed = read_history(a_history(alice, 5).pk, alice.pk, None)
    assert (len(read), was_trimmed) == (3, True)


def test_before_any_bill_a_token_is_taken_for_less_than_two_bytes(alice):
    answer = a_history(alice, 5)
    assert len(read_history(answer.pk, alice.pk, Room(messages=500, answer=1))[0]) == 5
    learn(answer, bytes_per_token=4)
    assert len(read_history(answer.pk, alice.pk, Room(messages=500, answer=1))[0]) == 6


def test_an_answer_that_goes_on_keeps_its_question_and_its_text(alice):
    answer = a_history(alice, 2)
    say(answer, "so far")
    [turn], is_trimmed = read_history(answer.pk, alice.pk, room_for(0.1))
    assert is_trimmed and [message["content"] for message in turn] == ["x" * 88, "so far", CONTINUE_PROMPT]


def test_what_cannot_fit_is_not_read(alice):
    answer = a_history(alice, 500, text="word " * 2_000)  # ten megabytes
    tracemalloc.start()
    turns, is_trimmed = read_history(answer.pk, alice.pk, Room(messages=20_000, answer=1))
    _now, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(turns), is_trimmed) == (2, True) and peak_bytes < 5_000_000


@pytest.mark.parametrize(
    ("window", "most", "usual", "room"),
    [
        (None, None, 4_096, None),
        (512, None, 128, Room(384, 128)),
        (128_000, 64_000, 4_096, Room(123_904, 4_096)),
        (4_096, None, 4_096, Room(2_048, 2_048)),
        (8_192, 1_000, 4_096, Room(7_192, 1_000)),
        (1, None, 1, Room(0, 1)),
    ],
)
def test_the_usual_longest_answer_has_room_up_to_half_of_the_window(window, most, usual, room):
    endpoint = Endpoint(id=uuid7(), origin="platform", kind="openai_compatible", base_url="http://127.0.0.1")
    route = Route(
        name="m",
        label="",
        model_id=uuid7(),
        targets=(Target(endpoint, "m"),),
        kind="chat",
        context_window=window,
        max_output_tokens=most,
        default_max_output_tokens=usual,
        price=FREE,
    )
    assert find_room(route) == room
    assert find_room(None) is None


@pytest.mark.parametrize(("turns", "steps"), [(1, 0), (2, 1), (3, 2), (1_000, 10), (100_000, 17)])
def test_halving_leads_to_the_last_question(turns, steps):
    left, count = [[{"role": "user", "content": str(number)}] for number in range(turns)], 0
    last = left[-1]
    while len(left) > 1:
        left, count = keep_newer_half(left), count + 1
    assert (left, count) == ([last], steps)
