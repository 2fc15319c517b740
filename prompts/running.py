"""The answers that this process writes, and stopping an answer whichever process writes it."""

import asyncio
import contextlib
import logging

from redis.exceptions import RedisError

from gateway.loop import GatewayLoop, submit_to_loop
from prompts import events
from prompts.models import Message

logger = logging.getLogger(__name__)

Key = tuple[str, str]  # tenant, message id

_running: dict[Key, asyncio.Task] = {}
_stopped: set[Key] = set()
_listener: asyncio.Task | None = None


@contextlib.contextmanager
def running(gateway: GatewayLoop, key: Key, task: asyncio.Task):
    """While the block lasts, requests to stop this answer cancel the task; yields a function that tells
    whether one came.
    """
    _running[key] = task
    _ensure_listener(gateway)
    try:
        yield lambda: key in _stopped
    finally:
        _running.pop(key, None)
        _stopped.discard(key)


def stop_answer(slug: str, message: Message) -> None:
    """From sync code: have an answer stopped, wherever it is written, without waiting for it."""
    message_id = str(message.pk)
    submit_to_loop(lambda gateway: _stop_everywhere(gateway, slug, message_id), name=f"stop {message_id}")


async def _stop_everywhere(gateway: GatewayLoop, slug: str, message_id: str) -> None:
    """Without Redis only this process hears."""
    _stop_here((slug, message_id))
    try:
        await events.ask_to_stop(gateway.redis, slug, message_id)
    except (RedisError, OSError, TimeoutError) as exc:
        logger.warning("other processes could not be asked to stop an answer: %s", type(exc).__name__)


def _stop_here(key: Key) -> None:
    task = _running.get(key)
    if task is not None:
        _stopped.add(key)
        task.cancel()


def _ensure_listener(gateway: GatewayLoop) -> None:
    global _listener
    if _listener is None or _listener.done():
        _listener = asyncio.create_task(_listen(gateway), name="stop-listener")


async def _listen(gateway: GatewayLoop) -> None:
    """Hear requests to stop for as long as this process writes answers."""
    while _running:
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async for slug, message_id in events.listen_for_stops(gateway.blocking_redis):
                if message_id:
                    _stop_here((slug, message_id))
                    continue
                for key in list(_running):  # what was asked while nobody listened
                    if await events.is_asked_to_stop(gateway.redis, *key):
                        _stop_here(key)
        await asyncio.sleep(0.5)
