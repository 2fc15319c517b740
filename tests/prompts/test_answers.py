"""An answer in the living house: streamed to whoever looks, kept, billed, stopped, continued, written
again; and only its owner sees it.
"""

import re
from decimal import Decimal
from itertools import islice, zip_longest
from uuid import UUID, uuid4

import pytest
from django.utils import translation

from accounts.models import User
from prompts.failures import explain_failure
from prompts.models import Message
from prompts.services import MAX_TEXT_CHARS
from tenants.context import tenant
from tests.live import TENANTS
from tests.prompts.visitor import Visitor, find_begun, make_person, said, show, text_of
from usage.models import UsageEvent

pytestmark = [pytest.mark.scope(TENANTS[0]), pytest.mark.timeout(180)]
Status = Message.Status
COST = "0.000019\N{NO-BREAK SPACE}€"
PLAIN = {"HX-Request": ""}


@pytest.fixture
def bob(visit) -> Visitor:
    return visit()


def bills_of(visitor: Visitor, message: Message) -> list[UsageEvent]:
    with tenant(visitor.slug):
        return list(
            UsageEvent.objects.filter(
                user_id=visitor.user.pk, request_id=UUID(hex=message.request_id.removeprefix("req_"))
            )
        )


# -- streamed, kept, billed ----------------------------------------------------------------------------------


def test_an_answer_grows_is_kept_and_billed(bob):
    message = bob.ask("hello there", "chat-3-s")
    events = list(bob.events(message))
    lengths = [len(show(events[: number + 1])) for number in range(len(events) - 1)]
    assert lengths == sorted(lengths) and len(set(lengths)) > 2, "the text grows in steps"
    assert events[-1].name == "done" and said(60) in text_of(events[-1].data["html"])
    message = bob.message(message.pk)
    assert (message.status, message.text, message.model_name) == (Status.DONE, said(60), "chat-3-s")
    assert (message.input_tokens, message.output_tokens, message.cost, message.currency) == (
        3,
        60,
        Decimal("0.000123"),
        "EUR",
    )
    assert (
        message.conversation.total_tokens,
        message.conversation.total_cost,
        message.conversation.currency,
    ) == (63, message.cost, "EUR")
    [bill] = bills_of(bob, message)
    assert (bill.source, bill.status, bill.output_tokens, bill.cost) == ("chat", "ok", 60, message.cost)


def test_the_finished_message_brings_the_figures_of_answer_and_conversation(bob):
    message = bob.ask("hello there", "mock")
    html = list(bob.events(message))[-1].data["html"]
    assert 'id="chat-figures" hx-swap-oob="true"' in html
    exact = html.count(f'title="{COST}"'), html.count(f'data-cost="{COST}"')
    assert exact == (2, 1), "3 tokens at 1 and 8 at 2 EUR per million"
    assert text_of(html).count("&lt; 0.01 ct") == 2


def test_the_next_question_takes_the_conversation_along(bob):
    first = bob.finished(bob.ask("one two three", "mock"))
    second = bob.finished(bob.ask("four", "mock", first.conversation_id))
    assert (first.input_tokens, second.input_tokens) == (4, 4 + 9 + 2), (
        "the mock counts one for each message and each word"
    )
    assert bob.conversation(first.conversation_id).total_tokens == 4 + 8 + 15 + 8


def test_a_page_that_comes_late_or_again_sees_the_whole_text(bob):
    message = bob.ask("hello", "chat-3-s")
    early = bob.events(message)
    seen = list(islice(early, 4))
    early.close()  # the page is reloaded, or the network broke
    bob.grown(message)
    again = list(bob.events(message, after=seen[-1].id))
    assert show(seen + again) == said(60) and not {event.id for event in seen} & {
        event.id for event in again if event.name == "update"
    }
    assert bob.shown(message) == said(60), "also after the end"


def test_every_page_sees_the_same_stream(bob, visit):
    message = bob.ask("hello", "chat-3-s")
    first, second = bob.events(message), visit(user=bob.user).events(message)
    both = list(zip_longest(first, second))  # in turns; one page may get two pieces in one update
    assert show([one for one, _two in both if one]) == show([two for _one, two in both if two]) == said(60)


@pytest.mark.parametrize("after", ["0-0", "nonsense", "9999999999999-0", "-1", "1-2-3"])
def test_any_place_to_go_on_from_ends_with_the_answer(bob, after):
    events = list(bob.events(bob.ask("hello", "mock-slow-50"), after))
    assert events[-1].name == "done" and said(8) in text_of(events[-1].data["html"])


WORDS_OF_500 = (
    "The model server answered with an error (status %(status)s). Try again, or choose another model."
)


def test_the_answer_speaks_the_readers_language(visit):
    bob = visit(user=make_person(TENANTS[0], language="de"))
    done = list(bob.events(bob.ask("hallo zusammen", "mock")))[-1]
    assert "0,000019\N{NO-BREAK SPACE}€" in done.data["html"]
    failed = bob.finished(bob.ask("hallo", "fault-500"))
    with translation.override("de"):
        words = translation.gettext(WORDS_OF_500)
    assert failed.error_message == words % {"status": 500} and failed.error_language == "de"
    with translation.override("zh-hans"):
        assert explain_failure(failed) == (translation.gettext(WORDS_OF_500) % {"status": 500}, "")


# -- stop, continue, write again -----------------------------------------------------------------------------


def test_stopping_keeps_and_bills_what_was_written(bob, house):
    house.mock.reset()
    message = bob.grown(bob.ask("hello", "chat-10-s"))
    for _time in range(2):
        assert bob.do("stop", message).status_code == 200
    message = bob.finished(message)
    assert (
        message.status == Status.STOPPED
        and said(200).startswith(message.text)
        and 20 <= len(message.text) < len(said(200))
    )
    assert message.output_tokens == len(message.text.split()) and message.is_estimated
    house.mock.wait_for(lambda entries: entries[-1]["outcome"] == "client_closed")
    [bill] = bills_of(bob, message)
    assert (bill.status, bill.output_tokens, bill.cost) == ("cancelled", message.output_tokens, message.cost)


def test_a_stopped_answer_goes_on_where_it_was(bob):
    message = bob.grown(bob.ask("hello", "chat-10-s"))
    bob.do("stop", message)
    stopped = bob.finished(message)
    assert bob.do("continue", message, model="mock").status_code == 200
    message = bob.finished(message)
    assert (message.status, message.text) == (Status.DONE, stopped.text + said(8))
    assert message.output_tokens == stopped.output_tokens + 8
    assert bob.do("continue", message).status_code == 409, "twice"


def test_an_answer_of_another_model_stands_beside_the_first(bob):
    first = bob.finished(bob.ask("one two", "mock-tokens-20-5"))
    second = bob.finished(bob.begin("regenerate", first, model="mock-echo"))
    assert (second.text, second.model_name, second.parent_id) == ("one two", "mock-echo", first.parent_id)
    assert (second.input_tokens, second.output_tokens) == (3, 2)
    assert bob.message(first.pk).text == said(20), "nothing was taken away"
    assert second.conversation.total_tokens == 5 + first.input_tokens + first.output_tokens
    page = bob.get(f"/c/{first.conversation_id}/").text
    assert "one two" in text_of(page) and said(20) not in text_of(page) and "2 of 2" in text_of(page)
    assert said(20) in text_of(bob.get(f"/c/{first.conversation_id}/?at={first.pk}").text)


@pytest.mark.parametrize("way", ["fails", "is stopped", "is empty"])
def test_an_attempt_that_brings_nothing_leaves_the_way_back(bob, way):
    first = bob.finished(bob.ask("one two", "mock-tokens-20-5"))
    model = {"fails": "fault-500", "is stopped": "mock-slow-3000", "is empty": "empty-answers"}[way]
    attempt = bob.begin("regenerate", first, model=model)
    if way == "is stopped":
        bob.do("stop", attempt)
    attempt = bob.finished(attempt)
    assert attempt.text == "" and bob.message(first.pk).text == said(20)
    page = bob.get(f"/c/{first.conversation_id}/").text
    assert f"?at={first.pk}" in page and "the arrows lead back to them" in page
    assert (attempt.error_message in page) and bool(attempt.error_message) == (way == "fails")


def test_a_question_is_put_differently_beside_the_first(bob):
    first = bob.finished(bob.ask("one two", "mock-tokens-20-5"))
    shown = bob.do("edit", first.parent, text="<b>three", model="mock-echo")
    assert shown.status_code == 200 and "&lt;b&gt;three" in shown.text and "2 of 2" in text_of(shown.text)
    second = bob.finished(bob.message(find_begun(shown.text)))
    assert (second.text, second.model_name, second.parent.text) == ("<b>three", "mock-echo", "<b>three")
    assert second.input_tokens == 2, "the model reads this branch alone"
    assert (second.conversation.title, second.conversation.messages.count()) == ("one two", 4)
    third = bob.finished(bob.begin("edit", second.parent, text="four"))
    assert third.text == "four", "the conversation's model answers where none is named"


def test_an_earlier_question_begins_a_branch_of_what_was_said_before_it(bob):
    """And the question after that follows what its page shows."""
    first = bob.finished(bob.ask("one", "mock-echo"))
    second = bob.finished(bob.ask("two", "mock-echo", first.conversation_id))
    bob.finished(bob.ask("three", "mock-echo", first.conversation_id))
    branch = bob.finished(bob.begin("edit", second.parent, text="zwei"))
    assert (branch.position, branch.input_tokens) == (4, 2 + 2 + 2), "one, its answer, zwei"
    words = text_of(bob.get(f"/c/{first.conversation_id}/").text)
    assert "zwei" in words and "three" not in words
    answer = bob.post(
        f"/c/{first.conversation_id}/messages/",
        data={"text": "and two", "model": "mock-echo", "parent": str(second.pk)},
    )
    on_the_first = bob.finished(bob.message(find_begun(answer.text)))
    assert (on_the_first.position, on_the_first.input_tokens) == (6, 2 + 2 + 2 + 2 + 3)


def test_two_tabs_branch_at_once_and_nothing_is_lost(bob):
    first = bob.finished(bob.ask("one", "mock-echo"))
    begun = [bob.begin("edit", first.parent, text=text, model="mock-slow-50") for text in ("two", "three")]
    assert [bob.finished(answer).text for answer in begun] == [said(8)] * 2
    assert [bob.message(answer.pk).parent.text for answer in begun] == ["two", "three"]


def test_an_edited_question_is_refused_with_a_notice(bob):
    answer = bob.finished(bob.ask("hello", "mock"))
    question = answer.parent
    for text in ("", " ", "x" * (MAX_TEXT_CHARS + 1)):
        response = bob.do("edit", question, text=text)
        assert (response.status_code, "data-notice" in response.text) == (400, True)
    assert bob.do("edit", answer, text="mine").status_code == 409, "an answer is no question"
    assert bob.message(answer.pk).conversation.messages.count() == 2


def test_an_answer_that_reached_its_greatest_length_says_so_and_goes_on(bob):
    message = bob.finished(bob.ask("hello", "short-answers"))
    assert (message.status, message.text, message.finish_reason) == (Status.DONE, said(3), "length")
    page = bob.get(f"/c/{message.conversation_id}/").text
    assert "reached its greatest length" in page and f"/m/{message.pk}/continue/" in page
    bob.do("continue", message, model="mock")
    message = bob.finished(message)
    assert (message.text, message.finish_reason) == (said(3) + said(8), "stop")
    assert "/continue/" not in bob.get(f"/c/{message.conversation_id}/").text


@pytest.mark.parametrize(
    ("model", "text", "words"),
    [
        ("fault-held-back", said(3), "held back the rest of this answer"),
        ("holds-all-back", "", "filter held back the answer"),
        ("empty-answers", "", "gave an empty answer"),
    ],
)
def test_an_answer_that_is_not_there_says_why(bob, model, text, words):
    message = bob.ask("hello", model)
    done = list(bob.events(message))[-1].data["html"]
    assert bob.finished(message).text == text
    for html in (done, bob.get(f"/c/{message.conversation_id}/").text):
        assert words in html and "/continue/" not in html
        assert f"/m/{message.pk}/regenerate/" in html


def test_a_model_that_thinks_is_said_to_think(bob):
    message = bob.ask("hello", "fault-thinks")
    events = list(bob.events(message))
    thoughts = [event for event in events if event.name == "thinking"]
    assert events[: len(thoughts)] == thoughts and thoughts[0].data["anew"] and events[-1].name == "done"
    assert show(events) == said(8)
    [kept] = [part for part in bob.finished(message).parts.all() if part.kind == "reasoning"]
    assert "".join(event.data["text"] for event in thoughts) == kept.text and kept.duration_ms is not None
    again = list(bob.events(message, after=thoughts[-1].id))
    assert "thinking" not in {event.name for event in again} and show(again) == said(8), (
        "a page that goes on knows"
    )
    done = events[-1].data["html"]
    assert '<details class="reasoning">' in done and kept.text in text_of(done)
    assert "Thought for 1 second" in text_of(done)


def test_text_that_turns_out_to_be_thought_is_no_answer(bob):
    """Some models' templates open the thought in the prompt, so that its end alone is heard."""
    message = bob.ask("hello", "fault-thinks-aloud")
    events = list(bob.events(message))
    message = bob.finished(message)
    assert show(events) == message.text == said(8)
    assert [part.kind for part in message.parts.all()] == ["reasoning", "text"]


def test_a_model_that_is_gone_is_replaced_by_its_successor_and_the_answer_says_so(bob):
    message = bob.finished(bob.ask("one two", "retired-model"))
    assert (message.text, message.model_name, message.notice) == ("one two", "mock-echo", "model_replaced")
    assert "mock-echo answered instead" in text_of(bob.get(f"/c/{message.conversation_id}/").text)
    message = bob.finished(bob.ask("three", "mock-echo", message.conversation_id))
    assert message.notice == ""


def test_one_token_is_one_token(bob):
    message = bob.finished(bob.ask("x", "mock"))
    with tenant(bob.slug):
        Message.objects.filter(pk=message.pk).update(input_tokens=0, output_tokens=1)
    page = bob.get(f"/c/{message.conversation_id}/").text
    assert re.search(r"\b1 token\s*<", page)


def test_what_cannot_be_done_while_an_answer_is_written(bob):
    message = bob.ask("hello", "chat-10-s")
    refusals = [
        bob.post(f"/c/{message.conversation_id}/messages/", data={"text": "and?", "model": "mock"}),
        bob.do("regenerate", message),
        bob.do("continue", message),
        bob.do("edit", message.parent, text="another"),
    ]
    assert [answer.status_code for answer in refusals] == [409] * 4 and all(
        "data-notice" in answer.text for answer in refusals
    )
    bob.do("stop", message)
    assert bob.finished(message).conversation.messages.count() == 2


def test_deleting_a_conversation_stops_its_answer(bob, house):
    house.mock.reset()
    message = bob.grown(bob.ask("hello", "chat-10-s"))
    events = bob.events(message)
    next(events)
    assert bob.post(f"/c/{message.conversation_id}/delete/").status_code == 200
    house.mock.wait_for(lambda entries: entries[-1]["outcome"] == "client_closed")
    assert "done" not in {event.name for event in events}, "the open page's stream ends without a message"
    assert bob.get(f"/m/{message.pk}/events/").status_code == 404


def test_deleting_by_api_stops_the_answer_too(visit, house):
    with tenant(TENANTS[0]):
        erin = visit(user=User.objects.get(email=f"erin@{TENANTS[0]}.example"))
    house.mock.reset()
    message = erin.grown(erin.ask("hello", "chat-10-s"))
    key = {"Authorization": f"Bearer {house.keys[TENANTS[0]]}"}
    assert erin.delete(f"/api/v1/conversations/{message.conversation_id}/", headers=key).status_code == 204
    house.mock.wait_for(lambda entries: entries[-1]["outcome"] == "client_closed")


def test_a_question_needs_words(bob):
    answer = bob.post("/c/new/", data={"text": "  ", "model": "mock"})
    assert answer.status_code == 400 and "data-notice" in answer.text


# -- without scripts -----------------------------------------------------------------------------------------


def test_plain_forms_are_answered_with_redirects(bob):
    created = bob.post("/c/new/", data={"text": "hello", "model": "chat-10-s"}, headers=PLAIN)
    address = created.headers["location"]
    assert created.status_code == 302 and '<meta http-equiv="refresh"' in bob.get(address, headers=PLAIN).text
    conversation = bob.conversation(address.strip("/").split("/")[1])
    with tenant(bob.slug):
        message = conversation.messages.get(role="assistant")
    bob.grown(message)
    for verb, model in (("stop", ""), ("continue", "mock"), ("regenerate", "mock")):
        answer = bob.post(f"/m/{message.pk}/{verb}/", data={"model": model}, headers=PLAIN)
        assert (answer.status_code, answer.headers["location"]) == (302, address)
        bob.finished(bob.message(bob.conversation(conversation.pk).leaf_id))
    answer = bob.post(f"{address}messages/", data={"text": "more", "model": "mock"}, headers=PLAIN)
    assert (answer.status_code, answer.headers["location"]) == (302, address)


# -- whose ---------------------------------------------------------------------------------------------------


def test_a_question_follows_nobody_elses_answer(bob, visit):
    """Nor one of another conversation, though it is one's own."""
    mine = bob.finished(bob.ask("one", "mock-echo"))
    other = bob.finished(bob.ask("two", "mock-echo"))
    strangers = (visit(), visit(slug=TENANTS[1]))
    foreign = [stranger.finished(stranger.ask("three", "mock-echo")).pk for stranger in strangers]
    for parent in (other.pk, *foreign, uuid4(), "x"):
        data = {"text": "and?", "model": "mock-echo", "parent": str(parent)}
        for address in (f"/c/{mine.conversation_id}/messages/", "/c/new/"):
            assert bob.post(address, data=data).status_code == 404
        assert bob.get(f"/c/{mine.conversation_id}/?at={parent}").status_code == 404
    assert bob.conversation(mine.conversation_id).messages.count() == 2


def test_an_event_stream_is_its_owners_alone(bob, visit, house):
    message = bob.ask("secret", "mock-echo")
    alice, charlie = visit(user=make_person(TENANTS[0], "owner")), visit(slug=TENANTS[1])
    for stranger in (alice, charlie):
        answers = [stranger.get(f"/m/{pk}/events/") for pk in (message.pk, uuid4())]
        assert [answer.status_code for answer in answers] == [404, 404] and "secret" not in answers[0].text
        for verb in ("stop", "regenerate", "continue"):
            assert stranger.do(verb, message).status_code == 404
        assert stranger.do("edit", message.parent, text="mine").status_code == 404
    bob.cookies.clear()
    assert [bob.get(f"/m/{pk}/events/").status_code for pk in (message.pk, uuid4())] == [401, 401]
