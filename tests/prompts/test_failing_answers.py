"""What becomes of an answer that fails: its code and words, what was
written, what it costs, and the way on.
"""

from decimal import Decimal
from uuid import UUID

import pytest

from prompts.models import Message
from tenants.context import platform, tenant
from tests.live import TENANTS
from tests.prompts.visitor import Visitor, said
from usage.models import UsageEvent

pytestmark = [pytest.mark.scope(TENANTS[0]), pytest.mark.timeout(180)]
Status = Message.Status


@pytest.fixture
def bob(visit) -> Visitor:
    return visit()


@pytest.mark.parametrize(
    ("model", "code", "text"),
    [
        ("fault-400", "upstream_invalid_request", ""),
        ("fault-401", "upstream_credentials", ""),
        ("fault-429", "upstream_rate_limited", ""),
        ("fault-500", "upstream_error", ""),
        ("fault-refuse", "upstream_disconnected", ""),
        ("fault-html", "upstream_invalid_response", ""),
        ("fault-cut-mid-stream", "upstream_disconnected", said(3)),
        ("fault-reset-mid-stream-5", "upstream_disconnected", said(5)),
    ],
)
def test_a_failure_has_a_code_and_keeps_what_arrived(bob, model, code, text):
    message = bob.finished(bob.ask("hello", model))
    assert (message.status, message.error_code, message.text) == (Status.FAILED, code, text)
    assert message.error_message and (message.output_tokens > 0) == bool(text)
    with tenant(bob.slug):
        bill = UsageEvent.objects.get(request_id=UUID(hex=message.request_id.removeprefix("req_")))
    assert (bill.status, bill.error_code, bill.cost) == ("error", code, message.cost)


def test_a_failed_answer_can_be_tried_again(bob, house):
    house.mock.reset()  # the fault counts from here, and every answer tries three times
    message = bob.finished(bob.ask("hello", "fault-flaky"))
    assert message.status == Status.FAILED
    message = bob.finished(bob.begin("regenerate", message))
    assert (message.status, message.text, message.error_code, message.error_message) == (
        Status.DONE,
        said(8),
        "",
        "",
    )


@pytest.mark.parametrize(("model", "asked"), [("fault-500", "one two"), ("fault-400", "two")])
def test_a_failed_answer_leaves_no_two_questions_in_a_row(bob, house, model, asked):
    """Strict models refuse those. A question that was refused for what it
    says would only be refused again.
    """
    failed = bob.finished(bob.ask("one", model))
    house.mock.reset()
    message = bob.finished(bob.ask("two", "mock-echo", failed.conversation_id))
    assert (message.status, message.text) == (Status.DONE, asked)
    assert message.input_tokens == 1 + len(asked.split()), (
        "the mock counts one for each message and each word"
    )


@pytest.mark.parametrize("model", ["fault-nul", "fault-long-code", "fault-half-error"])
def test_what_no_database_keeps_does_not_keep_an_answer_from_ending(bob, model):
    """An answer that cannot be saved would stay unfinished, and its conversation locked."""
    message = bob.finished(bob.ask("hello", model))
    assert message.status == (Status.DONE if model == "fault-nul" else Status.FAILED)
    written = {"fault-nul": said(8) + "!", "fault-half-error": said(3)}
    assert message.text == written.get(model, "") and "\0" not in message.error_message + message.error_code
    assert bob.finished(bob.ask("and now?", "mock", message.conversation_id)).status == Status.DONE


# -- too long ------------------------------------------------------------------------------------------------


def long_conversation(visitor: Visitor, words: int = 30) -> Message:
    message = None
    for _turn in range(4):
        message = visitor.finished(
            visitor.ask("word " * words, "mock", message.conversation_id if message else None)
        )
    return message


@pytest.mark.parametrize(
    ("model", "answer"), [("short-memory", "short question"), ("provider-with-short-memory", said(8))]
)
def test_what_does_not_fit_is_left_out_from_the_beginning(bob, model, answer):
    """Whether the gateway knows the model's limit or the provider tells it."""
    before = long_conversation(bob)
    message = bob.finished(bob.ask("short question", model, before.conversation_id))
    assert (message.status, message.notice, message.text) == (Status.DONE, "context_trimmed", answer)
    assert 3 <= message.input_tokens < before.input_tokens
    assert "was left out" in bob.get(f"/c/{message.conversation_id}/").text
    with tenant(bob.slug):
        costs = list(
            UsageEvent.objects.filter(user_id=bob.user.pk, error_code="context_length_exceeded").values_list(
                "cost", flat=True
            )
        )
    assert set(costs) <= {0}, "a refusal costs nothing"
    assert bob.conversation(message.conversation_id).messages.count() == 10, (
        "nothing is left out of the history itself"
    )


def test_a_question_too_long_by_itself_is_refused_by_name(bob):
    message = bob.finished(bob.ask("word " * 300, "short-memory"))
    assert (message.status, message.error_code, message.cost) == (Status.FAILED, "context_length_exceeded", 0)


# -- refused by the house ------------------------------------------------------------------------------------


def test_a_used_up_budget_is_named_and_costs_nothing(bob):
    from usage.services import remove_budget, set_budget

    with tenant(bob.slug):
        budget = set_budget(actor=None, level="user", subject_id=bob.user.pk, limit=Decimal("0.0000001"))
    message = bob.finished(bob.ask("hello", "mock"))
    assert (message.status, message.error_code, message.cost, message.text) == (
        Status.FAILED,
        "insufficient_quota",
        0,
        "",
    )
    done = list(bob.events(message))[-1].data["html"]
    assert "has no room for this answer" in done and done.count("can raise it") == 1, (
        "who can raise it is said once"
    )
    with tenant(bob.slug):
        remove_budget(actor=None, budget=budget)
    assert bob.finished(bob.begin("regenerate", message)).status == Status.DONE


def test_a_model_that_was_removed_is_named(bob):
    from models_registry.platform.models import Connection
    from models_registry.services import add_model, remove_model

    with platform():
        model = add_model(
            actor=None,
            connection=Connection.objects.get(name="mock"),
            name="short-lived",
            upstream_name="mock",
        )
    message = bob.finished(bob.ask("hello", "short-lived"))
    assert message.status == Status.DONE
    with platform():
        remove_model(actor=None, model=model)
    assert bob.finished(bob.begin("regenerate", message)).error_code == "model_not_found"
    assert bob.finished(bob.begin("regenerate", message, model="mock")).status == Status.DONE


def test_who_stood_in_for_the_chosen_model_is_named(bob):
    """Its own figures are shown; the conversation keeps the model that was chosen."""
    message = bob.finished(bob.ask("hello", "falls-over"))
    assert (message.status, message.model_name, message.notice) == (Status.DONE, "short-answers", "stood_in")
    assert bob.conversation(message.conversation_id).model_name == "falls-over"
    html = bob.get(f"/c/{message.conversation_id}/").text
    assert "falls-over did not answer; short-answers stood in for it." in html
    again = bob.finished(bob.begin("regenerate", message, model="short-answers"))
    assert again.failed_model_name == ""
