"""An answer that broke off goes on: at servers that can, from its own last words; others are asked to."""

import pytest

from prompts.echo import Echo
from prompts.history import CONTINUE_PROMPT
from prompts.models import Message
from tenants.context import platform
from tests.live import TENANTS
from tests.prompts.visitor import Visitor, said

Status = Message.Status
GOES_ON = {"goes-on": {}, "goes-on-with-echo": {"upstream_name": "mock-tokens-30-50"}}


@pytest.fixture
def bob(visit) -> Visitor:
    return visit()


@pytest.fixture(scope="module")
def begun_models(chat_models):
    """Models of a server of the kind vLLM, and one that such a server only stands in for."""
    from models_registry.platform.models import Connection
    from models_registry.services import add_connection, add_model

    with platform():
        usual = Connection.objects.get(name="mock")
        able = add_connection(
            actor=None, name="vllm", kind="vllm", base_url=usual.base_url, allow_private=True
        )
        for name, fields in GOES_ON.items():
            add_model(actor=None, connection=able, name=name, **{"upstream_name": "mock", **fields})
        add_model(actor=None, connection=able, name="mixed", upstream_name="mock", fallbacks=["mock"])


def stop(bob: Visitor) -> Message:
    message = bob.grown(bob.ask("hello", "chat-10-s"))
    bob.do("stop", message)
    return bob.finished(message)


def sent(house) -> dict:
    return house.mock.ledger()[-1]["body"]


@pytest.mark.scope(TENANTS[0])
@pytest.mark.timeout(180)
def test_a_server_that_can_is_given_the_begun_answer(bob, house, begun_models):
    stopped = stop(bob)
    bob.do("continue", stopped, model="goes-on")
    message = bob.finished(stopped)
    assert (message.status, message.text) == (Status.DONE, stopped.text + said(8))
    body = sent(house)
    assert body["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": stopped.text},
    ]
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert message.output_tokens == stopped.output_tokens + 8


@pytest.mark.scope(TENANTS[0])
@pytest.mark.timeout(180)
def test_what_a_server_repeats_of_the_answer_is_left_out(bob, house, begun_models):
    stopped = stop(bob)
    assert 1 <= len(stopped.text.split()) < 30
    bob.do("continue", stopped, model="goes-on-with-echo")
    message = bob.finished(stopped)
    assert (message.status, message.text) == (Status.DONE, said(30))
    assert bob.shown(message) == said(30)


@pytest.mark.scope(TENANTS[0])
@pytest.mark.timeout(180)
@pytest.mark.parametrize("model", ["mock", "mixed"])
def test_where_not_every_server_can_the_model_is_asked_to_go_on(bob, house, begun_models, model):
    stopped = stop(bob)
    bob.do("continue", stopped, model=model)
    assert bob.finished(stopped).text == stopped.text + said(8)
    assert sent(house)["messages"][-1] == {"role": "user", "content": CONTINUE_PROMPT}
    assert "continue_final_message" not in sent(house)


@pytest.mark.scope(TENANTS[0])
@pytest.mark.timeout(180)
def test_a_thought_that_comes_first_takes_nothing_of_what_was_there(bob, begun_models):
    stopped = stop(bob)
    bob.do("continue", stopped, model="fault-thinks-aloud")
    message = bob.finished(stopped)
    assert message.text == bob.shown(message) == stopped.text + said(8)


@pytest.mark.parametrize(
    ("pieces", "new"),
    [
        (["One, ", "two", ", three"], ", three"),
        (["One, two, three"], ", three"),
        (["One, two"], ""),
        ([", three"], ", three"),
        (["One", " more: three"], "One more: three"),
        (["One"], "One"),
        ([], ""),
    ],
)
def test_a_repetition_is_left_out_and_nothing_else(pieces, new):
    echo = Echo("One, two")
    assert "".join([*map(echo.pass_on, pieces), echo.let_go()]) == new


def test_what_repeats_nothing_is_not_held_back():
    echo = Echo("One, two")
    assert [echo.pass_on(piece) for piece in ("Hm", "One, two", "One")] == ["Hm", "One, two", "One"]
