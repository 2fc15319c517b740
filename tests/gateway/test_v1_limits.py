"""Limits and rights of use through the front door, with a tenant of its own in a living house."""

import contextlib
import json
from uuid import uuid4

import httpx
import pytest

from accounts.models import Grant
from accounts.services import (
    grant,
    remove_project_member,
    revoke_grant,
    set_data_policy,
    set_project_member,
    set_roles,
    update_api_key,
)
from models_registry.services import add_connection, add_model
from tenants.context import tenant
from tests.gateway.limiting import AT_ONCE, RPM, TPD, TPM, ask, bound, eventually
from tests.prompts.visitor import Visitor
from usage.models import UsageEvent
from usage.services import remove_budget, set_budget

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(180)]
SLOW = "mock-tokens-60-50"


def names(place) -> set[str]:
    answer = httpx.get(
        f"{place.house.base_url}/models", headers={"Authorization": f"Bearer {place.text}"}, timeout=60
    )
    return {model["id"] for model in answer.json()["data"]}


OF = {
    "key": "The limit of this API key",
    "user": "Your own limit",
    "project": "The limit of this project",
    "tenant": "The limit of your organisation",
    "plan": "The limit of your organisation's plan",
    "model": "The limit of this model",
}
OF_ALL = ("tenant", "plan", "model")


@pytest.mark.parametrize(
    "level",
    ["key", "user", "project", *(pytest.param(level, marks=pytest.mark.alone) for level in OF_ALL)],
)
def test_a_limit_of_each_level_refuses_and_says_whose_it_is(place, level):
    bound(place, level, RPM, 2)
    answers = []

    def has_refused() -> bool:
        answers.append(ask(place))
        return answers[-1].status_code == 429

    eventually(has_refused)
    assert answers[-2].headers["x-ratelimit-remaining-requests"] == "0"
    refused = answers[-1]
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    error = refused.json()["error"]
    assert error["code"] == "rate_limit_exceeded" and error["type"] == "rate_limit_error"
    assert error["message"].startswith(f"{OF[level]} is reached: 2 requests per minute. Try again in ")
    assert 1 <= int(refused.headers["retry-after"]) <= 61


def test_tokens_are_taken_at_the_estimate_and_given_back(place):
    bound(place, "key", TPM, 1_000)
    eventually(lambda: "x-ratelimit-limit-tokens" in ask(place, max_tokens=200).headers)
    with tenant(place.slug):
        used = sum(event.total_tokens for event in UsageEvent.objects.filter(user_id=place.person.pk))
    first = ask(place, max_tokens=400)
    left = int(first.headers["x-ratelimit-remaining-tokens"])
    assert first.headers["x-ratelimit-limit-tokens"] == "1000" and 400 < left < 600 - used + 400
    for _number in range(5):  # each would take 400 for good
        answer = ask(place, max_tokens=400)
        assert answer.status_code == 200, answer.text
    assert 0 < left - int(answer.headers["x-ratelimit-remaining-tokens"]) <= 5 * 60


def test_a_call_that_no_minute_has_room_for_is_told_so(place):
    bound(place, "user", TPM, 1_000)
    eventually(lambda: ask(place, max_tokens=5_000).status_code == 429)
    refused = ask(place, max_tokens=5_000)
    assert "retry-after" not in refused.headers and refused.headers["x-should-retry"] == "false"
    assert "Your own limit is 1,000 tokens per minute. This call alone may use" in refused.text
    assert refused.json()["error"]["message"].endswith("shorten it, or lower “max_tokens”.")
    long = ask(place, max_tokens=None, messages=[{"role": "user", "content": "law " * 2_000}])
    assert (long.status_code, long.headers["x-should-retry"]) == (429, "false")
    assert long.json()["error"]["message"].endswith("tokens: shorten it.")
    assert ask(place, max_tokens=100).status_code == 200


def test_an_answer_that_nobody_bounds_leaves_room_in_a_small_limit(place):
    bound(place, "user", TPM, 300)
    eventually(lambda: "x-ratelimit-limit-tokens" in ask(place, max_tokens=1).headers)
    answer = ask(place, "mock-tokens-200-5-20", max_tokens=None)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["finish_reason"] == "length", "the server was told"
    written = answer.json()["usage"]["completion_tokens"]
    assert 100 < written < 150 and answer.headers["x-atrium-max-tokens"] == str(written)
    bound(place, "user", TPM, 3_000)
    eventually(lambda: ask(place, max_tokens=1).headers["x-ratelimit-limit-tokens"] == "3000")
    for _number in range(3):  # what they did not use is given back
        assert ask(place, max_tokens=None).status_code == 200


def test_the_chat_leaves_room_in_a_small_limit_too(place):
    bound(place, "user", TPM, 3_000)
    eventually(lambda: "x-ratelimit-limit-tokens" in ask(place, max_tokens=1).headers)
    with Visitor(place.house.port, place.slug, place.person) as visitor:
        assert visitor.finished(visitor.ask("hi", "mock")).status == "done"


def test_a_model_that_does_not_exist_counts_as_a_request(place):
    bound(place, "key", RPM, 3)
    answers = []

    def has_refused() -> bool:
        answers.append(ask(place, "no-such-model").status_code)
        return answers[-1] == 429

    eventually(has_refused)
    assert set(answers[:-1]) == {404}


def room(place) -> int:
    """Tokens of the day that are left, as an answer's header says."""
    return int(ask(place, max_tokens=10).headers["x-ratelimit-remaining-tokens"])


@pytest.mark.parametrize("how", ["fault-500", "fault-reset-mid-stream-5", "left", "budget", "stopped"])
def test_however_a_call_ends_its_place_and_its_tokens_come_back(place, how):
    bound(place, "user", TPD, 100_000)
    bound(place, "user", AT_ONCE, 1)
    eventually(lambda: "x-ratelimit-limit-tokens" in ask(place, max_tokens=10).headers)
    before = room(place)
    if how == "left":
        with _streaming(place) as lines:
            next(lines)
    elif how == "stopped":
        with Visitor(place.house.port, place.slug, place.person) as visitor:
            message = visitor.ask("hi", SLOW)
            visitor.grown(message, 3)
            visitor.do("stop", message)
            assert visitor.finished(message).status == "stopped"
    elif how == "budget":
        with tenant(place.slug):
            budget = set_budget(actor=None, level="user", subject_id=place.person.pk, limit=0)
        assert ask(place, max_tokens=50_000).json()["error"]["code"] == "insufficient_quota"
        with tenant(place.slug):
            remove_budget(actor=None, budget=budget)
    else:
        ask(place, how, stream=True, max_tokens=50_000)
    eventually(lambda: ask(place, max_tokens=10).status_code == 200)
    assert before - room(place) < 2_000, "of 50,000 that were taken"


@contextlib.contextmanager
def _streaming(place, model: str = SLOW):
    body = {"model": model, "stream": True, "max_tokens": 50_000}
    with httpx.stream(
        "POST",
        f"{place.house.base_url}/chat/completions",
        json=body | {"messages": [{"role": "user", "content": "hi"}]},
        headers={"Authorization": f"Bearer {place.text}"},
        timeout=60,
    ) as response:
        assert response.status_code == 200, response.read()
        yield (line for line in response.iter_lines() if line.startswith("data: "))


def test_calls_at_once_of_a_person_bind_keys_and_chat_together(place):
    bound(place, "user", AT_ONCE, 1)
    with Visitor(place.house.port, place.slug, place.person) as visitor:
        message = visitor.ask("hi", SLOW)
        visitor.grown(message, 3)
        refused = ask(place)
        assert refused.status_code == 429 and "Your own limit is reached: 1 call at once." in refused.text
        visitor.finished(message)
        eventually(lambda: ask(place).status_code == 200)
        with _streaming(place) as lines:
            next(lines)
            failed = visitor.finished(visitor.ask("hi", "mock"))
        assert (failed.status, failed.error_code) == ("failed", "rate_limit_exceeded")
        assert "Your own limit" in failed.error_message


def test_a_limit_that_is_lifted_binds_nobody(place):
    bound(place, "key", RPM, 1)
    eventually(lambda: ask(place).status_code == 429)
    with tenant(place.slug):
        update_api_key(actor=None, key=place.key, requests_per_minute=None)
    eventually(lambda: ask(place).status_code == 200)
    assert "x-ratelimit-limit-requests" not in ask(place).headers


# -- rights of use -------------------------------------------------------------------------------------------


def test_a_model_that_is_not_granted_looks_as_if_it_did_not_exist(place):
    assert ask(place).status_code == 200 and "mock" in names(place)
    with tenant(place.slug):
        row = grant(actor=None, kind="model", target="mock", effect="deny", user=place.person)
    eventually(lambda: "mock" not in names(place))
    closed, unknown = ask(place), ask(place, "no-such-model")
    assert (closed.status_code, closed.json()["error"]["code"]) == (404, "model_not_found")
    assert closed.text.replace("mock", "X") == unknown.text.replace("no-such-model", "X")
    one = httpx.get(f"{place.house.base_url}/models/mock", headers={"Authorization": f"Bearer {place.text}"})
    assert one.status_code == 404
    with Visitor(place.house.port, place.slug, place.person) as visitor:
        assert 'value="mock"' not in visitor.get("/").text
    with tenant(place.slug):
        revoke_grant(actor=None, grant=row)
    eventually(lambda: ask(place).status_code == 200)


@pytest.mark.alone
def test_models_are_listed_by_the_names_under_which_a_key_may_call_them(place):
    with tenant(place.slug):
        server = add_connection(actor=None, name="own", kind="openai", base_url="https://own.example/v1")
        add_model(actor=None, connection=server, name="own", aliases=["nick", "chum"])
        add_model(actor=None, connection=server, name="painter", kind="image", aliases=["dauber"])
    eventually(lambda: "own" in names(place))
    assert not names(place) & {"nick", "chum", "painter", "dauber"}
    with tenant(place.slug):
        update_api_key(actor=None, key=place.key, model_names=["nick", "dauber"])
    eventually(lambda: names(place) == {"nick"})
    one = httpx.get(f"{place.house.base_url}/models/nick", headers={"Authorization": f"Bearer {place.text}"})
    assert one.json()["id"] == "nick"


@pytest.mark.alone
def test_an_answer_bears_the_name_under_which_it_was_asked_for(place):
    """The key knows no other; which model that is stands in a header, and on the bill."""
    with tenant(place.slug):
        more = {"base_url": place.house.mock.base_url, "allow_private": True}
        server = add_connection(actor=None, name="own", kind="openai_compatible", **more)
        add_model(actor=None, connection=server, name="own", upstream_name="mock", aliases=["nick"])
        vectors = {"kind": "embedding", "upstream_name": "mock-embedding", "aliases": ["vectors"]}
        add_model(actor=None, connection=server, name="own-vectors", **vectors)
        update_api_key(actor=None, key=place.key, model_names=["nick", "vectors"])
    eventually(lambda: names(place) == {"nick", "vectors"})
    whole = ask(place, "nick")
    assert (whole.json()["model"], whole.headers["x-atrium-model"]) == ("nick", "own")
    lines = ask(place, "nick", stream=True).text.splitlines()
    assert {json.loads(line[6:])["model"] for line in lines if "{" in line} == {"nick"}
    headers = {"Authorization": f"Bearer {place.text}"}
    made = place.house.post({"model": "vectors", "input": "hi"}, "live-one", "embeddings", headers=headers)
    assert (made.json()["model"], made.headers["x-atrium-model"]) == ("vectors", "own-vectors")
    with tenant(place.slug):
        billed = UsageEvent.objects.order_by("-created_at").values_list("model", flat=True)[:3]
        assert list(billed) == ["own-vectors", "own", "own"]


@pytest.mark.alone
def test_a_key_acts_in_its_persons_roles_and_on_its_project(place):
    from django.contrib.auth.models import Group

    with tenant(place.slug):
        auditors = grant(actor=None, kind="model", target="mock", role=Group.objects.get(name="auditor"))
    eventually(lambda: "mock" not in names(place))
    with tenant(place.slug):
        set_roles(actor=None, user=place.person, roles=["user", "auditor"])
    eventually(lambda: ask(place).status_code == 200)
    with tenant(place.slug):
        set_roles(actor=None, user=place.person, roles=["user"])
    eventually(lambda: ask(place).status_code == 404)
    with tenant(place.slug):
        grant(actor=None, kind="model", target="mock", project=place.project)
    eventually(lambda: ask(place).status_code == 200)
    with tenant(place.slug):
        assert Grant.objects.filter(pk=auditors.pk).exists()


# -- the chat's project --------------------------------------------------------------------------------------


def project_of_last_bill(place):
    with tenant(place.slug):
        bills = UsageEvent.objects.filter(user_id=place.person.pk)
        return bills.order_by("-created_at").first().project_id


def test_the_chat_books_the_conversations_project(place):
    with tenant(place.slug):
        member = set_project_member(actor=None, project=place.project, user=place.person, role="editor")
    with Visitor(place.house.port, place.slug, place.person) as visitor:
        page = visitor.get("/").text
        assert 'name="project"' in page and "Law" in page
        message = visitor.finished(visitor.ask("hi", "mock", project=place.project.pk))
        assert message.status == "done", message.error_message
        assert project_of_last_bill(place) == place.project.pk
        conversation_id = message.conversation_id
        visitor.finished(visitor.ask("more", "mock", conversation_id))
        assert project_of_last_bill(place) == place.project.pk, "it stays"
        with tenant(place.slug):
            remove_project_member(actor=None, membership=member)
        message = visitor.finished(visitor.ask("more", "mock", conversation_id))
        assert message.notice == "project_left" and project_of_last_bill(place) != place.project.pk
        assert visitor.conversation(conversation_id).project_id is None
        page = visitor.get(f"/c/{conversation_id}/").text
        assert "no longer a member of this conversation" in page and 'name="project"' not in page


def test_who_left_a_stricter_project_takes_no_conversation_along(place):
    with tenant(place.slug):
        member = set_project_member(actor=None, project=place.project, user=place.person, role="editor")
        set_data_policy(actor=None, project=place.project, data_policy="local")
    with Visitor(place.house.port, place.slug, place.person) as visitor:
        message = visitor.finished(visitor.ask("hi", "mock", project=place.project.pk))
        with tenant(place.slug):
            remove_project_member(actor=None, membership=member)
        message = visitor.finished(visitor.ask("more", "mock", message.conversation_id))
        assert (message.status, message.error_code) == ("failed", "data_policy")
        assert "Begin a new conversation" in message.error_message


def test_nobody_books_on_a_project_that_is_not_theirs(place):
    others, no_id, nobodys = str(place.project.pk), "x", str(uuid4())
    with Visitor(place.house.port, place.slug, place.person) as visitor:
        for named in (others, no_id, nobodys):
            response = visitor.post("/c/new/", data={"text": "hi", "model": "mock", "project": named})
            assert response.status_code == 404, named
    with tenant(place.slug):
        assert not UsageEvent.objects.filter(user_id=place.person.pk).exists()
