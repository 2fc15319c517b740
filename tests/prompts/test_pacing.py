"""A stream that is read while a long block grows: the house renders it seldom enough, and loses nothing."""

import threading
import time
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.db import connection
from redis import Redis

from prompts import streaming
from prompts.events import BLOCK_MS, START, stream_key
from prompts.models import Message
from tenants.context import tenant
from tests.live import TENANTS
from tests.prompts.chats import make_conversation, make_process, make_unfinished, say
from tests.prompts.visitor import Event, show, text_of

pytestmark = [pytest.mark.scope(TENANTS[0]), pytest.mark.timeout(120)]
PIECE = "x = 1  # something to say\n" * 80  # 2 KB
PIECES = 50
END = "```\n\nThat was it."


def write(bob, message: Message, pieces: list[str], pause_s: float) -> None:
    """What a writing process does."""
    with Redis.from_url(settings.REDIS_URL) as valkey:
        for piece in pieces:
            valkey.xadd(stream_key(bob.slug, message.pk), {"text": piece})
            time.sleep(pause_s)


def conclude(bob, message: Message, text: str) -> None:
    with tenant(bob.slug):
        say(message, text)
        Message.objects.filter(pk=message.pk).update(status=Message.Status.DONE)
    with Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.xadd(stream_key(bob.slug, message.pk), {"end": "1"})


@pytest.fixture
def begun(visit):
    """A visitor, and an answer that another process has just begun."""
    bob = visit()
    with tenant(bob.slug):
        message = make_unfinished(make_conversation(bob.user), make_process(), text="")
    with Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.xadd(stream_key(bob.slug, message.pk), {"start": "1"})
    return bob, message


def size(event: Event) -> int:
    return len(event.data["append"] + event.data["tail"])


def test_a_long_open_block_is_sent_seldom(begun):
    bob, message = begun
    pieces = ["```python\n", *[PIECE] * PIECES, END]
    text = "".join(pieces)

    def write_all() -> None:
        write(bob, message, pieces, 0.04)
        conclude(bob, message, text)
        connection.close()  # this thread's

    writer = threading.Thread(target=write_all)
    writer.start()
    *updates, done = bob.events(message)
    writer.join()
    assert done.name == "done" and 3 <= len(updates) < PIECES / 2
    assert sum(map(size, updates)) < PIECES * len(text) / 4, (
        "unpaced, each piece brings all that came before it, too: half of their product"
    )
    assert show(updates) == text_of(
        done.data["html"].partition('<div class="prose"')[2].partition(">")[2].partition("</div>")[0]
    )


async def test_a_screen_waits_as_long_as_its_pause_lasts_and_only_for_what_it_has(monkeypatch):
    # a render of 25 ms: the next follows a quarter of a second later
    clock = SimpleNamespace(now_s=100.0)
    cpu_s = iter([0.0, 0.025])
    monkeypatch.setattr(
        streaming, "time", SimpleNamespace(monotonic=lambda: clock.now_s, thread_time=lambda: next(cpu_s))
    )
    screen = streaming._Screen(START)
    assert (screen.patience_ms(), screen.has_news(is_last=True)) == (BLOCK_MS, False), "nothing to show"
    screen.add("one", "1-0")
    assert (screen.patience_ms(), screen.has_news()) == (1, True), "the first piece at once"
    await screen.show()
    assert (screen.patience_ms(), screen.has_news(is_last=True)) == (BLOCK_MS, False), "all is shown"
    screen.add(" two", "2-0")
    assert (screen.patience_ms(), screen.has_news(), screen.has_news(is_last=True)) == (250, False, True)
    clock.now_s += 0.125
    assert (screen.patience_ms(), screen.has_news()) == (125, False)
    clock.now_s += 0.125
    assert (screen.patience_ms(), screen.has_news()) == (1, True)


def test_what_waits_for_its_turn_is_shown_when_the_model_pauses(begun):
    bob, message = begun
    write(bob, message, ["```python\n" + PIECE * 5, "the last words"], 0)
    events = bob.events(message)
    seen = [next(events)]
    while "the last words" not in seen[-1].data["tail"]:
        seen.append(next(events))
    events.close()
    conclude(bob, message, "")


def test_a_page_that_goes_on_gets_what_it_has_not_seen(begun):
    bob, message = begun
    write(bob, message, ["One.\n\nTwo", ".\n\nThr"], 0.3)
    events = bob.events(message)
    seen = [next(events), next(events)]
    events.close()
    write(bob, message, ["ee.\n\nFo", "ur."], 0.3)
    conclude(bob, message, "")
    seen += bob.events(message, after=seen[-1].id)
    assert show(seen) == "One. Two. Three. Four." and not [
        event for event in seen[2:-1] if event.data["anew"]
    ]
