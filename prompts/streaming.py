"""The event stream of one answer: any worker can serve it, from the beginning or from the last event a page
has seen.

Rendering is paced: it takes at most a tenth of a CPU for each stream, and what is big is rendered beside the
event loop.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar
from uuid import UUID

import orjson
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from accounts.sessions import has_access
from foundation.errors import NotFound
from gateway.loop import get_loop
from prompts import events, pages
from prompts.conclusions import as_concluded
from prompts.models import Message
from prompts.rendering import GrowingText, render_markdown
from prompts.selectors import get_visible_message
from tenants.context import in_tenant

T = TypeVar("T")

HEARTBEAT = b": still here\n\n"
POLL_S = 1.0
ACCESS_EVERY_S = 2.0
MOST_ROUNDS = 1_800  # an hour of two-second waits: no stream lives longer
SHARE_OF_CPU = 0.1
CHARACTERS_PER_S = 100_000  # of HTML: each update brings the whole block that still grows
LONGEST_PAUSE_S = 5.0
SMALL_CHARACTERS = 2_000  # rendered in about a millisecond


@require_safe
async def message_events(request: HttpRequest, message_id: UUID) -> HttpResponseBase:
    """`model`, `thinking` and `update` events while the answer is written (docs: static/js/answer-stream.js),
    then one `done` with the finished message. 401 for those who are not logged in.
    """
    user = await request.auser()
    if isinstance(user, AnonymousUser):
        return HttpResponse(status=401)
    slug = request.tenant.slug
    after = request.headers.get("Last-Event-ID") or request.GET.get("after") or events.START
    await sync_to_async(_find)(user, message_id)
    surroundings = (translation.get_language(), timezone.get_current_timezone())
    response = StreamingHttpResponse(
        _stream(request, slug, user, message_id, after, surroundings), content_type="text/event-stream"
    )
    response["X-Accel-Buffering"] = "no"
    return response


def _find(user, message_id: UUID) -> Message:
    try:
        return get_visible_message(user, message_id)
    finally:
        connection.close()  # back to the pool: the stream must not hold it


async def _stream(
    request, slug: str, user, message_id: UUID, after: str, surroundings
) -> AsyncIterator[bytes]:
    access = _Access(slug, request.session.session_key, user.pk)
    try:
        try:
            async for part in _follow(get_loop().blocking_redis, slug, user, message_id, after):
                await access.check()
                yield part
        except (RedisError, OSError, TimeoutError, _HoleInStream):
            async for part in _poll(slug, user, message_id):
                await access.check()
                yield part
        await access.ask()  # with the right, the answer ends too, and sooner than it is asked after again
        html = await in_tenant(slug, _render_done, request, user, message_id, surroundings)
    except (NotFound, _AccessEnded):
        return  # deleted or logged out meanwhile: whoever asks again is told so
    yield _event("done", {"html": html})


class _AccessEnded(Exception):
    """Who looks at this stream may look no longer."""


class _Access:
    """Whether the session that opened a stream still stands: asked before a part is sent, at most every two
    seconds.

    A stream sends at least a sign of life that often, so it ends within a few seconds of a log-out, a new
    password, a lock-out or the suspension of the tenant.
    """

    def __init__(self, slug: str, session_key: str, user_id: UUID) -> None:
        self._slug = slug
        self._session_key = session_key
        self._user_id = user_id
        self._asked_s = time.monotonic()

    async def check(self) -> None:
        """Raises _AccessEnded."""
        if time.monotonic() - self._asked_s >= ACCESS_EVERY_S:
            await self.ask()

    async def ask(self) -> None:
        """Raises _AccessEnded."""
        self._asked_s = time.monotonic()
        if not await in_tenant(self._slug, has_access, self._slug, self._session_key, self._user_id):
            raise _AccessEnded


class _HoleInStream(Exception):
    """The event stream does not begin with its start: Redis lost a part of it."""


class _Screen:
    """What a page has been shown of an answer, and when it may be shown more. Entries up to
    `seen_until` are on the page already.
    """

    def __init__(self, seen_until: str) -> None:
        self._seen_until = _as_number(seen_until)
        self._last_id = ""
        self._text = GrowingText()
        self._unshown = ""
        self._due_s = 0.0
        self._is_anew = False
        self._is_behind = False

    def has_seen(self, entry_id: str) -> bool:
        return _as_number(entry_id) <= self._seen_until

    def restart(self) -> None:
        self._text = GrowingText()
        self._unshown = ""
        self._is_anew = True
        self._is_behind = False

    def add(self, text: str, entry_id: str) -> None:
        if self.has_seen(entry_id):
            self._text.add(text)
            self._is_anew = False
            self._is_behind = True
        else:
            self._unshown += text
            self._last_id = entry_id

    def patience_ms(self) -> int:
        """How long to wait for more before what there is must be shown."""
        return max(1, int((self._due_s - time.monotonic()) * 1000)) if self._unshown else events.BLOCK_MS

    def has_news(self, *, is_last: bool = False) -> bool:
        """Whether there is something to show, and it is time to."""
        return bool(self._unshown) and (is_last or time.monotonic() >= self._due_s)

    async def show(self) -> bytes:
        """The event that brings all there is; sets the pause until the next."""
        text, is_anew, is_behind = self._unshown, self._is_anew, self._is_behind
        self._unshown = ""
        self._is_anew = False
        self._is_behind = False
        is_small = self._text.size + len(text) < SMALL_CHARACTERS
        parts = (self._text, text, is_behind)
        finished, tail, cpu_s = _grow(*parts) if is_small else await _beside_the_loop(_grow, *parts)
        pause_s = max(cpu_s / SHARE_OF_CPU, len(finished + tail) / CHARACTERS_PER_S)
        self._due_s = time.monotonic() + min(LONGEST_PAUSE_S, pause_s)
        return _event("update", {"append": finished, "tail": tail, "anew": is_anew}, self._last_id)


async def _beside_the_loop(render: Callable[..., T], *args) -> T:
    """In a thread that reads no database: it needs none of the places that in_tenant has."""
    return await sync_to_async(render, thread_sensitive=False)(*args)


def _grow(text: GrowingText, more: str, is_behind: bool) -> tuple[str, str, float]:
    """The blocks that `more` finished, the one that still grows, and the CPU seconds it took. `is_behind`:
    what was added unseen is on the page.
    """
    start_s = time.thread_time()
    if is_behind:
        text.grow("")
    finished, tail = text.grow(more)
    return finished, tail, time.thread_time() - start_s


async def _follow(redis, slug: str, user, message_id: UUID, after: str) -> AsyncIterator[bytes]:
    """Updates from the event stream until the answer ends. Entries the page has seen are taken in
    silently. Raises RedisError, _HoleInStream.
    """
    screen, has_start, is_anew, rounds = _Screen(after), False, False, 0
    async for entry_id, fields in events.read_events(
        redis, slug, message_id, events.START, screen.patience_ms
    ):
        if "start" in fields:
            screen.restart()
            has_start = is_anew = True
        elif "model" in fields:
            yield _event("model", {"name": fields["model"], "label": fields["label"]}, None)
        elif "thinking" in fields:
            if not screen.has_seen(entry_id):
                if screen.has_news(is_last=True):
                    yield await screen.show()  # or this event's id would say that it was shown
                yield _event("thinking", {"text": fields["thinking"], "anew": is_anew}, entry_id)
            is_anew = False
        elif "text" in fields:
            if not has_start:
                raise _HoleInStream
            screen.add(fields["text"], entry_id)
        elif not entry_id and not screen.has_news(is_last=True):
            rounds += 1
            if rounds > MOST_ROUNDS or not await in_tenant(slug, _is_unfinished, user, message_id):
                return
            yield HEARTBEAT
        is_end = "end" in fields and not await in_tenant(slug, _is_unfinished, user, message_id)
        if screen.has_news(is_last=is_end):
            yield await screen.show()
        if is_end:
            return  # else it is the end of an earlier attempt, and the next one is about to start


def _as_number(entry_id: str) -> tuple[int, int]:
    try:
        moment, number = entry_id.split("-")
        return int(moment), int(number)
    except ValueError:
        return 0, 0


async def _poll(slug: str, user, message_id: UUID) -> AsyncIterator[bytes]:
    """Without Redis: the whole text of the row, which is saved every second."""
    shown = ""
    for _round in range(MOST_ROUNDS):
        text, is_unfinished = await in_tenant(slug, _read_text, user, message_id)
        if not is_unfinished:
            return
        if text != shown:
            yield _event(
                "update", {"append": "", "tail": await _beside_the_loop(render_markdown, text), "anew": True}
            )
        else:
            yield HEARTBEAT
        shown = text
        await asyncio.sleep(POLL_S)


def _is_unfinished(user, message_id: UUID) -> bool:
    return as_concluded(get_visible_message(user, message_id)).is_unfinished


def _read_text(user, message_id: UUID) -> tuple[str, bool]:
    message = as_concluded(get_visible_message(user, message_id))
    return message.text, message.is_unfinished


def _render_done(request, user, message_id: UUID, surroundings) -> str:
    language, zone = surroundings
    with translation.override(language), timezone.override(zone):
        message = pages.show_message(request, as_concluded(get_visible_message(user, message_id)))
        conversation = message.conversation
        project = pages.find_booking(request, conversation)
        context = {
            "message": message,
            "conversation": conversation,
            **pages.budget_context(request, project),
        }
        return render_to_string("prompts/_answer_done.html", context, request)


def _event(name: str, data: dict, entry_id: str | None = "") -> bytes:
    """One event. An empty id makes the page forget the last one: it then asks for the whole stream after a
    break. None leaves it as it was.
    """
    head = "" if entry_id is None else f"id: {entry_id}\n"
    return f"{head}event: {name}\n".encode() + b"data: " + orjson.dumps(data) + b"\n\n"
