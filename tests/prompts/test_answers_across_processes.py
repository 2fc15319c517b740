"""Several web processes on one database and one Valkey: any of them serves, stops and continues an answer,
and one may die.

Covers: reading and stopping at another process; kill -9 in mid-answer; Valkey refusing, silent, and coming
back; the database away at the end.
Does not cover: kill -9 at every point of the ledger (S25), PostgreSQL killed under load (S32).
"""

import asyncio
import contextlib
import os
import signal
import time
from itertools import islice
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone
from redis import Redis

from prompts import answers
from prompts.events import stream_key
from prompts.models import Message
from prompts.services import AnswerResult, conclude_orphaned_answers
from tenants.context import platform, tenant
from tests.doubles import running_chaosproxy
from tests.doubles.chaosproxy import Trouble
from tests.live import TENANTS
from tests.prompts.conftest import another_web
from tests.prompts.visitor import Visitor, said, show, text_of
from usage.ledger.sweeper import sweep_holds
from usage.models import Hold, UsageEvent
from usage.platform.models import Process

pytestmark = [pytest.mark.scope(TENANTS[0]), pytest.mark.timeout(240), pytest.mark.slow]
Status = Message.Status


# -- a second process ----------------------------------------------------------------------------------------


def test_another_process_serves_the_stream(visit, second_port):
    bob = visit()
    message = bob.ask("hello", "chat-3-s")
    elsewhere = visit(port=second_port, user=bob.user)
    events = list(elsewhere.events(message))
    assert show(events) == said(60) and len(events) > 5, "from the beginning, in steps"
    assert events[-1].name == "done" and 'data-status="done"' in events[-1].data["html"]


def test_another_process_stops_an_answer_and_takes_it_up(visit, second_port):
    """The request to stop is for the attempt it was made for: the process that goes on must not hear it
    again.
    """
    bob = visit()
    elsewhere = visit(port=second_port, user=bob.user)
    message = bob.grown(bob.ask("hello", "chat-10-s"))
    elsewhere.do("stop", message)
    stopped = bob.finished(message)
    assert stopped.status == Status.STOPPED
    elsewhere.do("continue", message, model="chat-3-s")
    continued = bob.finished(message)
    assert (continued.status, continued.text) == (Status.DONE, stopped.text + said(60))
    assert continued.process_id != stopped.process_id


# -- kill -9 -------------------------------------------------------------------------------------------------


def has_mark(visitor: Visitor) -> bool:
    """Whether the ledger knows how far the answer has come."""
    with tenant(visitor.slug):
        return Hold.objects.filter(user_id=visitor.user.pk, progress_output_tokens__gt=0).exists()


def end_lease(process_id: UUID) -> None:
    """What 20 seconds without a heartbeat do."""
    with platform():
        Process.objects.filter(pk=process_id).update(ended_at=timezone.now())


def wait_until(condition, patience_s: float = 60.0):
    end = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)
    return found


def test_an_answer_whose_process_is_killed_is_kept_billed_and_continued(visit, house):
    with another_web() as (port, process):
        bob = visit()
        message = visit(port=port, user=bob.user).ask("hello", "chat-10-s")
        message = bob.grown(message, len(said(50)))
        wait_until(lambda: has_mark(bob))
        events = bob.events(message)  # a page at another process follows it
        next(events)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    kept = bob.message(message.pk)
    assert kept.is_unfinished and bob.do("continue", message).status_code == 409, "its process may still live"
    end_lease(message.process_id)
    *_updates, done = events
    assert done.name == "done" and 'data-status="interrupted"' in done.data["html"], (
        "the page that looked on is told"
    )
    assert bob.message(message.pk).status == kept.status, "whoever looks writes nothing"
    conclude(bob)
    message = bob.message(message.pk)
    assert (message.status, message.text) == (Status.INTERRUPTED, kept.text) and said(200).startswith(
        kept.text
    )
    [bill] = wait_until(lambda: sweep(bob))
    assert (
        (bill.status, bill.estimated, bill.source) == ("interrupted", True, "chat")
        and 0 < bill.output_tokens <= 200
        and bill.cost > 0
    )
    conclude(bob)
    assert (
        bill.request_id == message.call_id
        and f"{bill.input_tokens + bill.output_tokens} tokens"
        in bob.get(f"/c/{message.conversation_id}/").text
    )
    assert (bob.message(message.pk).output_tokens, bob.message(message.pk).cost) == (
        bill.output_tokens,
        bill.cost,
    ), "the page shows the ledger's figures"
    assert bob.do("continue", message, model="mock").status_code == 200
    assert bob.finished(message).text == kept.text + said(8)


def conclude(visitor: Visitor) -> None:
    """What the scheduler does within a minute."""
    with tenant(visitor.slug):
        conclude_orphaned_answers()


def sweep(visitor: Visitor) -> list[UsageEvent]:
    """What the worker's scheduler does, until this visitor's hold is settled."""
    with tenant(visitor.slug):
        sweep_holds()
        assert (
            not Hold.objects.filter(user_id=visitor.user.pk).exists()
            or not UsageEvent.objects.filter(user_id=visitor.user.pk).exists()
        )
        return list(UsageEvent.objects.filter(user_id=visitor.user.pk, status="interrupted"))


# -- Valkey --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def through_proxy(house, chat_models, tmp_path_factory):
    """A web process whose way to Valkey leads through a faulty network: (its port, the network)."""
    folder = tmp_path_factory.mktemp("valkey")
    with (
        running_chaosproxy(settings.REDIS_URL.removeprefix("unix://"), str(folder / "valkey.sock")) as proxy,
        another_web(REDIS_URL=f"unix://{folder / 'valkey.sock'}") as (port, _process),
    ):
        yield port, proxy


@contextlib.contextmanager
def trouble(proxy, kind: str):
    """Valkey away, in one of two ways, for the length of the block."""
    if kind == "refused":
        proxy.refuse()
        proxy.cut_all()
    else:
        proxy.down = proxy.up = Trouble(silent=True)
    try:
        yield
    finally:
        proxy.heal()
        proxy.cut_all()


@pytest.mark.parametrize(
    ("kind", "model", "words"), [("refused", "chat-3-s", 60), ("silent", "chat-10-s", 200)]
)
def test_without_valkey_the_page_follows_the_row(visit, through_proxy, kind, model, words):
    port, proxy = through_proxy
    bob = visit(port=port)
    with trouble(proxy, kind):
        message = bob.ask("hello", model)
        events = list(bob.events(message))
    assert events[-1].name == "done" and said(words) in text_of(events[-1].data["html"])
    updates = events[:-1]
    assert updates and all(event.data["anew"] for event in updates), "each brings the whole text"
    assert said(words).startswith(show(updates))
    assert bob.message(message.pk).status == Status.DONE


def test_valkey_lost_in_mid_answer_loses_and_doubles_nothing(visit, through_proxy):
    """From the stream to the row, and, when Valkey is back, from the row to the stream: what a page shows
    is always a beginning of the answer.
    """
    port, proxy = through_proxy
    bob = visit(port=port)
    message = bob.ask("hello", "chat-10-s")
    stream = bob.events(message)
    seen = list(islice(stream, 5))
    with trouble(proxy, "refused"):
        seen += islice(stream, 2)
        assert seen[-1].data["anew"] and not seen[-1].id, "the page forgets where it was"
    stream.close()
    after = seen[-1].id
    seen += bob.events(message, after)
    shown = [show(seen[: number + 1]) for number in range(len(seen) - 1)]
    assert all(said(200).startswith(text) for text in shown) and shown[-1] == said(200)


def test_a_stream_that_valkey_lost_is_made_up_for_from_the_row(visit):
    """Valkey was started anew, empty, and the writer did not notice: what it adds has no beginning."""
    bob = visit()
    message = bob.grown(bob.ask("hello", "chat-3-s"))
    with Redis.from_url(settings.REDIS_URL) as valkey:
        assert valkey.delete(stream_key(bob.slug, message.pk)) == 1
    events = list(bob.events(message))
    shown = [show(events[: number + 1]) for number in range(len(events))]
    assert all(said(60).startswith(text) for text in shown) and events[-1].name == "done"


def test_an_answer_stops_without_valkey_where_it_is_written(visit, through_proxy):
    port, proxy = through_proxy
    bob = visit(port=port)
    message = bob.grown(bob.ask("hello", "chat-10-s"))
    with trouble(proxy, "refused"):
        bob.do("stop", message)
        assert bob.finished(message).status == Status.STOPPED


class Silence:
    """A host without Valkey."""

    class redis:
        @staticmethod
        def pipeline(**_options):
            raise ConnectionError


def test_an_outage_of_valkey_is_one_line_in_the_log_of_an_answer(caplog):
    answer = answers.Answer("live-one", uuid4(), uuid4(), "mock", "en", uuid4())

    async def write() -> None:
        await answers._begin_stream(Silence, answer)
        for piece in ("one ", "two ", "three"):
            answer.draft.add_text(piece)
            answer.unpublished.append(piece)
            await answers._publish(Silence, answer)

    asyncio.run(write())
    assert [
        str(answer.message_id) in record.getMessage()
        for record in caplog.records
        if record.levelname == "WARNING"
    ] == [True]


# -- the database --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("failures", "is_saved"), [(0, True), (2, True), (3, False)])
def test_a_result_is_saved_as_soon_as_the_database_is_back(monkeypatch, failures, is_saved):
    tries = []

    async def save(_slug, _function, *, message_id, result):
        tries.append(message_id)
        if len(tries) <= failures:
            raise OperationalError("the database is away")

    monkeypatch.setattr(answers, "in_tenant", save)
    answer = answers.Answer("live-one", uuid4(), uuid4(), "mock", "en", uuid4())
    asyncio.run(
        answers._conclude(
            Silence,
            answer,
            AnswerResult((), Status.DONE, "mock", answer.request_id),
            pauses_s=(0.0, 0.0),
        )
    )
    assert len(tries) == (failures + 1 if is_saved else 3) and set(tries) == {answer.message_id}
