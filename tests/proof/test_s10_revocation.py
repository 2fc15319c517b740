"""S10: what is open when a right ends is closed within five seconds, and a stream that is cut says so and is
billed.

Nothing is judged by the clock: the upstream sends a token every 20 ms for six seconds, so a stream that ends
with fewer than two thirds of them was cut long before it would have ended by itself; a busy machine slows
both alike.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from accounts.services import (
    create_api_key,
    create_user,
    grant,
    revoke_api_key,
    set_data_policy,
    set_user_active,
    update_api_key,
)
from accounts.sessions import has_access
from models_registry.models import Connection
from models_registry.services import add_connection, add_model, remove_connection, update_connection
from tenants.context import tenant
from tenants.provisioning.plans import update_tenant
from tenants.provisioning.services import create_tenant, set_tenant_status
from tests.live import house_with_bug
from tests.prompts.visitor import Visitor

MODEL, TOKENS, FEW = "mock-tokens-300-20", 300, 200
pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(120)]


def make_tenant(slug: str) -> str:
    create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan="unlimited")
    return slug


@pytest.fixture(scope="module")
def shared(house, django_db_blocker):
    with django_db_blocker.unblock():
        return make_tenant(f"s10-{uuid4().hex[:8]}")


@pytest.fixture
def place(house, django_db_blocker, request):
    """A tenant, its own where the test changes it, with a person, a key, and the model at a place that nobody
    knows.
    """
    is_alone = request.node.get_closest_marker("alone") is not None
    shared = None if is_alone else request.getfixturevalue("shared")
    with django_db_blocker.unblock():
        slug = shared or make_tenant(f"s10-{uuid4().hex[:8]}")
        with tenant(slug):
            person = create_user(
                actor=None,
                email=f"{uuid4().hex[:8]}@{slug}.example",
                name="Erin",
                password="correct horse battery staple",
                roles=["user"],
            )
            row, text = create_api_key(actor=None, user=person, name="s10")
            connection = add_connection(
                actor=None,
                name="abroad",
                kind="openai_compatible",
                base_url=house.mock.base_url,
                allow_private=True,
                location="",
            )
            add_model(actor=None, connection=connection, name=MODEL)
        yield slug, person, row, text
        if shared:
            with tenant(slug):
                remove_connection(actor=None, connection=connection, force=True)


def suspend(slug, person, row) -> None:
    set_tenant_status(slug=slug, status="suspended")


def lock_out(slug, person, row) -> None:
    with tenant(slug):
        set_user_active(actor=None, user=person, is_active=False)


def revoke(slug, person, row) -> None:
    with tenant(slug):
        revoke_api_key(actor=None, key=row)


def refuse_the_model(slug, person, row) -> None:
    with tenant(slug):
        grant(actor=None, kind="model", target=MODEL, effect="deny", user=person)


def narrow_the_key(slug, person, row) -> None:
    with tenant(slug):
        update_api_key(actor=None, key=row, model_names=["mock"])


def keep_the_data(slug, person, row) -> None:
    with tenant(slug):
        set_data_policy(actor=None, project=row.project, data_policy="eu")


def keep_all_data(slug, person, row) -> None:
    update_tenant(slug=slug, data_policy="eu")


def stream(house, place, end) -> tuple[list[dict], bool]:
    """(the events of a stream during which `end` happens, whether it ended with [DONE])"""
    slug, person, row, text = place
    events, is_done = [], False
    body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    with httpx.stream(
        "POST",
        f"{house.base_url}/chat/completions",
        json=body,
        headers={"Authorization": f"Bearer {text}"},
        timeout=60,
    ) as response:
        assert response.status_code == 200
        for line in response.iter_lines():
            if line == "data: [DONE]":
                is_done = True
            elif line.startswith("data: "):
                events.append(json.loads(line[6:]))
                if len(events) == 3:
                    end(slug, person, row)
    return events, is_done


def check(house, place, end) -> None:
    events, is_done = stream(house, place, end)
    assert len(events) < FEW, "the stream went on"
    assert events[-1]["error"]["code"] == "access_ended" and is_done, "whoever reads it is told why it ended"


SUSPEND, KEEP_THE_DATA, KEEP_ALL_DATA = (
    pytest.param(end, marks=pytest.mark.alone) for end in (suspend, keep_the_data, keep_all_data)
)
ENDS = [revoke, lock_out, SUSPEND, refuse_the_model, narrow_the_key, KEEP_THE_DATA, KEEP_ALL_DATA]


@pytest.mark.parametrize("end", ENDS)
def test_a_stream_of_v1_ends_with_the_right_to_it(house, place, end):
    check(house, place, end)


def put(slug: str, location: str) -> None:
    with tenant(slug):
        update_connection(actor=None, connection=Connection.objects.get(name="abroad"), location=location)


@pytest.mark.alone
@pytest.mark.parametrize("policy", ["eu", ""])
def test_a_stream_ends_where_its_server_turns_out_to_be_elsewhere(house, place, policy):
    slug = place[0]
    put(slug, "eu")
    update_tenant(slug=slug, data_policy=policy)

    def move(*_place) -> None:
        put(slug, "us")

    if policy:
        check(house, place, move)
    else:
        events, is_done = stream(house, place, move)
        assert len(events) >= TOKENS and is_done, "where data may go anywhere"


def test_what_was_passed_on_is_billed(house, place):
    from usage.models import Hold, UsageEvent

    stream(house, place, revoke)
    with tenant(place[0]):
        (event,) = UsageEvent.objects.filter(user_id=place[1].pk)
        assert (event.status, event.error_code, event.estimated) == ("error", "access_ended", True)
        assert event.output_tokens > 0 and not Hold.objects.exists()


def test_a_stream_whose_right_stands_goes_on_to_its_end(house, place):
    events, is_done = stream(house, place, lambda *_nothing: None)
    assert len(events) >= TOKENS and is_done


def test_planted_bug_a_gateway_that_asks_once_is_found_out(house, place):
    bug = "import gateway.loop\nasync def yes(*_): return True\ngateway.loop.may_still_call = yes"
    with house_with_bug(house, bug) as careless, pytest.raises(AssertionError, match="the stream went on"):
        check(careless, place, revoke)


def test_planted_bug_a_gateway_that_forgets_rights_of_use_is_found_out(house, place):
    bug = "import gateway.rights\ngateway.rights.may_call = lambda *_: True"
    with house_with_bug(house, bug) as careless, pytest.raises(AssertionError, match="the stream went on"):
        check(careless, place, refuse_the_model)


@pytest.mark.parametrize("end", [KEEP_THE_DATA, KEEP_ALL_DATA])
def test_planted_bug_a_gateway_that_forgets_policies_is_found_out(house, place, end):
    bug = "import gateway.rights\ngateway.rights.is_allowed = lambda *_: True"
    with house_with_bug(house, bug) as careless, pytest.raises(AssertionError, match="the stream went on"):
        check(careless, place, end)


def ask_whole(house, place, end) -> httpx.Response:
    """An answer in one piece during which `end` happens, once the upstream is at work."""
    slug, person, row, text = place
    house.mock.reset()
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(
            house.post, body, headers={"Authorization": f"Bearer {text}"}, slug=next(iter(house.keys))
        )
        house.mock.wait_for(lambda ledger: len(ledger) == 1, timeout_s=30)
        end(slug, person, row)
        return asking.result()


@pytest.mark.parametrize("end", [revoke, KEEP_THE_DATA])
def test_an_answer_in_one_piece_ends_with_the_right_to_it(house, place, end):
    from usage.models import UsageEvent

    answer = ask_whole(house, place, end)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "access_ended")
    (entry,) = house.mock.wait_for(
        lambda ledger: all(one["outcome"] != "open" for one in ledger), timeout_s=30
    )
    assert entry["outcome"] == "client_closed"
    with tenant(place[0]):
        (event,) = UsageEvent.objects.filter(user_id=place[1].pk)
        assert (event.status, event.error_code, event.estimated) == ("error", "access_ended", True)
        assert event.output_tokens > 0, "nobody saw how far it was"


# -- pages ---------------------------------------------------------------------------------------------------


def log_out(slug, person, _row) -> None:
    from django.contrib.sessions.models import Session

    with tenant(slug):
        Session.objects.all().delete()


@pytest.mark.parametrize("end", [log_out, lock_out, SUSPEND])
def test_a_page_that_looks_on_sees_no_more(house, place, end):
    """The answer itself is written to its end, unless its person is kept out."""
    slug, person, row, _text = place
    with Visitor(house.port, slug, person) as visitor:
        message = visitor.ask("hi", MODEL)
        seen = []
        for event in visitor.events(message):
            if not seen:
                end(slug, person, row)
            seen.append(event.name)
        assert "done" not in seen, "the stream went on"
        if end is log_out:
            assert visitor.message(message.pk).is_unfinished, "the stream went on"
            assert visitor.finished(message).status == "done"


@pytest.mark.alone
def test_planted_bug_a_page_whose_end_is_sent_unasked_is_found_out(house, place):
    """Who is kept out loses the answer, too, and perhaps just after a question."""
    bug = (
        "import prompts.streaming as streaming\n"
        "streaming._Access.ask, streaming.ACCESS_EVERY_S = streaming._Access.check, 3600"
    )
    with house_with_bug(house, bug) as careless, pytest.raises(AssertionError, match="the stream went on"):
        test_a_page_that_looks_on_sees_no_more(careless, place, suspend)


def test_planted_bug_a_page_that_is_never_asked_again_is_found_out(house, place):
    bug = "import prompts.streaming\nprompts.streaming.ACCESS_EVERY_S = 3600"
    with house_with_bug(house, bug) as careless, pytest.raises(AssertionError, match="the stream went on"):
        test_a_page_that_looks_on_sees_no_more(careless, place, log_out)


@pytest.mark.django_db
@pytest.mark.scope("acme")
class TestSessions:
    """What the event stream of an answer asks before it sends the next part."""

    @pytest.fixture
    def session(self, acme, bob):
        acme.login_as(bob)
        return acme.session

    def test_a_session_that_stands_has_access(self, session, bob):
        assert has_access("acme", session.session_key, bob.pk)

    def test_after_a_log_out_it_has_none(self, session, bob):
        session.flush()
        assert not has_access("acme", session.session_key or "gone", bob.pk)

    def test_after_a_new_password_it_has_none(self, session, bob):
        key = session.session_key
        bob.set_password("another one altogether")
        bob.save()
        assert not has_access("acme", key, bob.pk)

    def test_after_a_lock_out_it_has_none(self, session, bob):
        bob.is_active = False
        bob.save()
        assert not has_access("acme", session.session_key, bob.pk)

    def test_another_persons_session_gives_none(self, session, bob, alice):
        assert not has_access("acme", session.session_key, alice.pk)
