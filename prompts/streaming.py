"""The event stream of one answer: any worker can serve it, from the beginning or from the last event a page has seen."""

import asyncio
from collections.abc import AsyncIterator
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

from gateway.host import get_host
from prompts import events, pages
from prompts.models import Message
from prompts.rendering import GrowingText
from prompts.selectors import get_visible_message
from prompts.services import conclude_if_orphaned
from tenants.context import in_tenant
from tenants.errors import NotFound

HEARTBEAT = b": still here\n\n"
POLL_S = 1.0
MOST_ROUNDS = 1_800  # an hour of two-second waits: no stream lives longer


@require_safe
async def message_events(request: HttpRequest, message_id: UUID) -> HttpResponseBase:
    """`update` events while the answer is written, then one `done` with the finished message. 401 for those who are not logged in."""
    user = await request.auser()
    if isinstance(user, AnonymousUser):
        return HttpResponse(status=401)
    slug, after = request.tenant.slug, request.headers.get("Last-Event-ID") or request.GET.get("after") or events.START
    await sync_to_async(_find)(user, message_id)
    surroundings = (translation.get_language(), timezone.get_current_timezone())
    response = StreamingHttpResponse(_stream(request, slug, user, message_id, after, surroundings), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


def _find(user, message_id: UUID) -> Message:
    try:
        return get_visible_message(user, message_id)
    finally:
        connection.close()  # back to the pool: the stream must not hold it


async def _stream(request, slug: str, user, message_id: UUID, after: str, surroundings) -> AsyncIterator[bytes]:
    try:
        try:
            async for part in _follow(get_host().blocking_redis, slug, user, message_id, after):
                yield part
        except (RedisError, OSError, TimeoutError, _HoleInStream):
            async for part in _poll(slug, user, message_id):
                yield part
        html = await in_tenant(slug, _render_done, request, user, message_id, surroundings)
    except NotFound:
        return  # deleted meanwhile: whoever asks again is told so
    yield _event("done", {"html": html})


class _HoleInStream(Exception):
    """The event stream does not begin with its start: Redis lost a part of it."""


async def _follow(redis, slug: str, user, message_id: UUID, after: str) -> AsyncIterator[bytes]:
    """Updates from the event stream until the answer ends. Entries the page has seen are replayed silently. Raises RedisError, _HoleInStream."""
    text, has_start, is_anew, is_replay = GrowingText(), False, False, after != events.START
    rounds = 0
    async for entry_id, fields in events.read_events(redis, slug, message_id, events.START):
        if not entry_id:
            rounds += 1
            if rounds > MOST_ROUNDS or not await in_tenant(slug, _is_unfinished, user, message_id):
                return
            yield HEARTBEAT
        elif "start" in fields:
            text.restart()
            has_start = is_anew = True
        elif "end" in fields:
            if not await in_tenant(slug, _is_unfinished, user, message_id):
                return  # else it is the end of an earlier attempt, and the next one is about to start
        elif "text" in fields:
            if not has_start:
                raise _HoleInStream
            finished, tail = text.grow(fields["text"])
            is_replay = is_replay and _as_number(entry_id) <= _as_number(after)
            if not is_replay:
                yield _event("update", {"append": finished, "tail": tail, "anew": is_anew}, entry_id)
            is_anew = False


def _as_number(entry_id: str) -> tuple[int, int]:
    try:
        moment, number = entry_id.split("-")
        return int(moment), int(number)
    except ValueError:
        return 0, 0


async def _poll(slug: str, user, message_id: UUID) -> AsyncIterator[bytes]:
    """Without Redis: the whole text of the row, which is saved every second."""
    for _round in range(MOST_ROUNDS):
        text, is_unfinished = await in_tenant(slug, _read_text, user, message_id)
        if not is_unfinished:
            return
        yield _event("update", {"append": "", "tail": str(pages.render_markdown(text)), "anew": True}) if text else HEARTBEAT
        await asyncio.sleep(POLL_S)


def _is_unfinished(user, message_id: UUID) -> bool:
    return conclude_if_orphaned(get_visible_message(user, message_id)).is_unfinished


def _read_text(user, message_id: UUID) -> tuple[str, bool]:
    message = conclude_if_orphaned(get_visible_message(user, message_id))
    return message.text, message.is_unfinished


def _render_done(request, user, message_id: UUID, surroundings) -> str:
    language, zone = surroundings
    message = pages.dress(get_visible_message(user, message_id))
    with translation.override(language), timezone.override(zone):
        return render_to_string("prompts/_answer_done.html", {"message": message, "conversation": message.conversation}, request)


def _event(name: str, data: dict, entry_id: str = "") -> bytes:
    """One event. An empty id makes the page forget the last one: it then asks for the whole stream after a break."""
    return f"id: {entry_id}\nevent: {name}\n".encode() + b"data: " + orjson.dumps(data) + b"\n\n"
