"""Writing an answer: a task of the gateway's host, not of a request. It survives reloads, goes to every page that looks, and can be stopped."""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from django.utils import translation
from redis.exceptions import RedisError

from gateway import pipeline
from gateway.authenticate import check_door
from gateway.calls import Call, Principal
from gateway.host import Host
from gateway.sse import DONE, EventReader
from prompts import events
from prompts.models import Message
from prompts.services import AnswerResult, finish_answer, save_progress
from tenants.context import in_tenant
from tenants.errors import AtriumError, InvalidInput, NotFound

logger = logging.getLogger(__name__)

PUBLISH_EVERY_S = 0.04
SAVE_EVERY_S = 1.0
SAVE_AGAIN_AFTER_S = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0)
MOST_ATTEMPTS_TO_FIT = 12
CONTINUE_PROMPT = "Continue exactly where you stopped. Do not repeat anything."

_running: dict[tuple[str, str], asyncio.Task] = {}
_stopped: set[tuple[str, str]] = set()


@dataclass(slots=True)
class Answer:
    """An answer in work."""

    slug: str
    message_id: UUID
    user_id: UUID
    model_name: str
    language: str
    text: str = ""  # the whole text so far
    notice: str = ""
    unpublished: list[str] = field(default_factory=list)
    has_hole: bool = False  # an entry of the event stream was lost
    call: Any = None  # the Call in work; None before the first

    @property
    def key(self) -> tuple[str, str]:
        return self.slug, str(self.message_id)


async def write_answer(host: Host, answer: Answer) -> None:
    """Ask the model and keep, publish and conclude what it says. Never raises."""
    task: Any = asyncio.current_task()
    _running[answer.key] = task
    _ensure_stop_listener(host)
    with translation.override(answer.language or "en"):
        try:
            await _begin_stream(host, answer)
            result = await _ask(host, answer)
        except asyncio.CancelledError:
            was_stopped = answer.key in _stopped
            task.uncancel()
            result = _result(answer, Message.Status.STOPPED if was_stopped else Message.Status.INTERRUPTED)
        except AtriumError as exc:
            result = _result(answer, Message.Status.FAILED, exc.code, str(exc.message))
        except Exception:
            logger.exception("an answer failed")
            message = translation.gettext("Something went wrong on our side. Try again; if it stays, report the request id.")
            result = _result(answer, Message.Status.FAILED, "internal_error", message)
        finally:
            _running.pop(answer.key, None)
            _stopped.discard(answer.key)
    await _conclude(host, answer, result)


async def _conclude(host: Host, answer: Answer, result: AnswerResult, pauses_s: tuple[float, ...] = SAVE_AGAIN_AFTER_S) -> None:
    """Save the result, again and again while the database is away: an answer that stays unfinished locks its conversation."""
    for pause_s in (*pauses_s, None):
        try:
            await in_tenant(answer.slug, finish_answer, message_id=answer.message_id, result=result)
            break
        except Exception:
            if pause_s is None:
                logger.exception("an answer could not be saved; its last saved text stays and it will be marked as interrupted when this process ends")
                return
            logger.warning("an answer could not be saved; the next try follows in %s s", pause_s, exc_info=True)
        await asyncio.sleep(pause_s)
    await events.publish(host.redis, answer.slug, answer.message_id, {"end": "1"})


async def _ask(host: Host, answer: Answer) -> AnswerResult:
    snapshot = await host.snapshots.find(answer.slug)
    if snapshot is None:
        raise InvalidInput(translation.gettext("This organisation no longer exists."), code="unknown_tenant")
    check_door(snapshot)
    principal = Principal(answer.slug, answer.user_id, snapshot.project_id)
    history = await in_tenant(answer.slug, read_history, answer.message_id, answer.user_id)
    for _attempt in range(MOST_ATTEMPTS_TO_FIT):
        call = answer.call = _make_call(principal, answer.model_name, history)
        try:
            await pipeline.prepare(call, snapshot, host)
            await _follow(host, answer, pipeline.stream(call, host))
        except InvalidInput as exc:
            if exc.code != "context_length_exceeded" or len(history) < 2:
                raise
            history, answer.notice = _drop_oldest(history), "context_trimmed"
            continue
        if call.status == "error":
            return _result(answer, Message.Status.FAILED, call.error_code, call.error_message)
        return _result(answer, Message.Status.DONE)
    raise InvalidInput(translation.gettext("The conversation is too long for this model. Start a new one, or choose a model with more context."),
                       code="context_length_exceeded")  # fmt: skip


def _make_call(principal: Principal, model_name: str, history: list[dict]) -> Call:
    body = {"model": model_name, "messages": history, "stream": True}
    call = Call(principal=principal, body=body, size_bytes=len(orjson.dumps(history)), source="chat")
    call.wants_stream = True
    return call


def _drop_oldest(history: list[dict]) -> list[dict]:
    """Leave out the oldest quarter of the messages, at least one; what remains begins with a question."""
    kept = history[max(1, len(history) // 4) :]
    while len(kept) > 1 and kept[0]["role"] != "user":
        kept = kept[1:]
    return kept


def read_history(message_id: UUID, user_id: UUID) -> list[dict]:
    """The messages before a person's answer, and what it already says, in OpenAI's form. Failed answers without text are left out."""
    message = Message.objects.filter(pk=message_id, conversation__user_id=user_id).first()
    if message is None:
        raise NotFound(translation.gettext("There is no such message."))
    rows = Message.objects.filter(conversation_id=message.conversation_id, position__lt=message.position).exclude(text="").order_by("position")
    history = [{"role": row.role, "content": row.text} for row in rows]
    if message.text:
        history += [{"role": "assistant", "content": message.text}, {"role": "user", "content": CONTINUE_PROMPT}]
    return history


async def _follow(host: Host, answer: Answer, frames) -> None:
    """Take in the stream: pieces go to the event stream every 40 ms and to the row every second."""
    reader, publisher = EventReader(), asyncio.create_task(_publish_regularly(host, answer))
    saved_s = time.monotonic()
    try:
        async for part in frames:
            for data in reader.feed(part):
                _take(answer, data)
            if time.monotonic() - saved_s > SAVE_EVERY_S:
                saved_s = time.monotonic()
                await in_tenant(answer.slug, save_progress, message_id=answer.message_id, text=answer.text)
    finally:
        await frames.aclose()
        publisher.cancel()
        await asyncio.gather(publisher, return_exceptions=True)
        await _publish(host, answer)


def _take(answer: Answer, data: bytes) -> None:
    if data == DONE:
        return
    event = orjson.loads(data)
    if "error" in event:
        answer.call.error_message = event["error"]["message"]
        return
    for choice in event["choices"][:1]:
        if piece := (choice.get("delta") or {}).get("content"):
            piece = piece.replace("\0", "")  # PostgreSQL keeps no such character
            answer.text += piece
            answer.unpublished.append(piece)


async def _publish_regularly(host: Host, answer: Answer) -> None:
    while True:
        await asyncio.sleep(PUBLISH_EVERY_S)
        await _publish(host, answer)


async def _publish(host: Host, answer: Answer) -> None:
    if not answer.unpublished:
        return
    if answer.has_hole:
        await _begin_stream(host, answer)
        return
    text = "".join(answer.unpublished)
    answer.unpublished.clear()
    answer.has_hole = not await events.publish(host.redis, answer.slug, answer.message_id, {"text": text})


async def _begin_stream(host: Host, answer: Answer) -> None:
    """Begin the event stream with the whole text so far; also after an entry was lost, so that no reader misses a piece."""
    answer.unpublished.clear()
    answer.has_hole = not await events.begin(host.redis, answer.slug, answer.message_id, answer.text)


def _result(answer: Answer, status: Message.Status, error_code: str = "", error_message: str = "") -> AnswerResult:
    call = answer.call
    usage = call.usage if call and call.is_settled else None
    return AnswerResult(
        text=answer.text, status=status, model_name=answer.model_name, request_id=call.public_id if call else "", notice=answer.notice,
        error_code=error_code, error_message=error_message,
        input_tokens=usage.input_tokens + usage.cached_tokens if usage else 0, output_tokens=usage.output_tokens + usage.reasoning_tokens if usage else 0,
        cost=call.cost if usage else Decimal(0), currency=call.route.price.currency if usage else "", is_estimated=call.is_estimated if usage else False,
    )  # fmt: skip


def stop_here(slug: str, message_id: str) -> None:
    """Stop an answer that this process writes; does nothing if it does not."""
    task = _running.get((slug, message_id))
    if task is not None:
        _stopped.add((slug, message_id))
        task.cancel()


async def stop_everywhere(host: Host, slug: str, message_id: str) -> None:
    """Stop an answer, whichever process writes it. Without Redis only this process hears."""
    stop_here(slug, message_id)
    try:
        await events.ask_to_stop(host.redis, slug, message_id)
    except (RedisError, OSError, TimeoutError) as exc:
        logger.warning("other processes could not be asked to stop an answer: %s", type(exc).__name__)


_listener: asyncio.Task | None = None


def _ensure_stop_listener(host: Host) -> None:
    global _listener
    if _listener is None or _listener.done():
        _listener = asyncio.create_task(_listen(host), name="stop-listener")


async def _listen(host: Host) -> None:
    """Hear requests to stop for as long as this process writes answers."""
    while _running:
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async for slug, message_id in events.listen_for_stops(host.blocking_redis):
                if message_id:
                    stop_here(slug, message_id)
                    continue
                for key in list(_running):  # what was asked while nobody listened
                    if await events.is_asked_to_stop(host.redis, *key):
                        stop_here(*key)
        await asyncio.sleep(0.5)
