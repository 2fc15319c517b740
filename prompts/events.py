"""The Redis stream that carries an answer from the process that writes it to the pages that show it, and the
way to stop it.

Keys: `<slug>:answer:<message id>` (at most an hour), `<slug>:stop:<message id>`; channel
`<slug>:stop`. A stream begins with `start`; one that does not has lost entries. Without Redis the
answer goes on; pages then follow its row.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

LIFETIME_S = 3_600
BLOCK_MS = 2_000
PATIENCE_S = 3.0
STOP_PATTERN = "*:stop"
START = "0-0"


def stream_key(slug: str, message_id: UUID) -> str:
    return f"{slug}:answer:{message_id}"


def stop_key(slug: str, message_id: UUID | str) -> str:
    return f"{slug}:stop:{message_id}"


async def begin(redis: Redis, slug: str, message_id: UUID, said: list[dict[str, str]]) -> bool:
    """Start the stream anew with what was said so far (fields as of `publish`; empty ones are left out).
    Requests to stop an earlier attempt end here. Returns whether it arrived.
    """
    entries = [{"start": "1"}, *(fields for fields in said if any(fields.values()))]
    return await _add(redis, slug, message_id, entries, is_new=True)


async def publish(redis: Redis, slug: str, message_id: UUID, fields: dict[str, str]) -> bool:
    """Add an entry: `text` (a piece of the answer), `thinking` (a piece of its reasoning), `model` and its
    `label` (who answers, where another was named) or `end`. Returns whether it arrived.
    """
    return await _add(redis, slug, message_id, [fields])


async def _add(
    redis: Redis, slug: str, message_id: UUID, entries: list[dict[str, str]], *, is_new: bool = False
) -> bool:
    sending = asyncio.create_task(_send(redis, slug, message_id, entries, is_new))
    # redis-py sends through asyncio.wait_for, which before Python 3.12 now and then swallows a cancellation
    return await asyncio.shield(sending)


async def _send(
    redis: Redis, slug: str, message_id: UUID, entries: list[dict[str, str]], is_new: bool
) -> bool:
    key = stream_key(slug, message_id)
    try:
        async with redis.pipeline(transaction=False) as pipe:
            if is_new:
                pipe.delete(key, stop_key(slug, message_id))
            for fields in entries:
                pipe.xadd(key, dict(fields))
            pipe.expire(key, LIFETIME_S)
            await pipe.execute()
    except (RedisError, OSError, TimeoutError) as exc:
        logger.debug("an answer's event was lost: %s", type(exc).__name__)
        return False
    return True


async def read_events(
    redis: Redis, slug: str, message_id: UUID, after: str, patience_ms: Callable[[], int] = lambda: BLOCK_MS
) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """Entries after an id, as they come; ("", {}) whenever nothing came for `patience_ms()`. Ends never: the
    reader leaves.

    Raises RedisError, or TimeoutError from a Redis that neither answers nor refuses.
    """
    key, last = stream_key(slug, message_id), after
    while True:
        async with asyncio.timeout(BLOCK_MS / 1000 + PATIENCE_S):
            answer: Any = await redis.xread({key: last}, count=500, block=patience_ms())
        entries = answer[0][1] if answer else []
        for entry_id, fields in entries:
            last = entry_id.decode()
            yield last, {name.decode(): value.decode() for name, value in fields.items()}
        if not entries:
            yield "", {}


async def ask_to_stop(redis: Redis, slug: str, message_id: str) -> None:
    """Tell whichever process writes the answer to stop: now, or as soon as it listens.
    Raises RedisError if nobody can be told.
    """
    async with redis.pipeline(transaction=False) as pipe:
        await pipe.set(stop_key(slug, message_id), 1, ex=60).publish(f"{slug}:stop", message_id).execute()


async def is_asked_to_stop(redis: Redis, slug: str, message_id: str) -> bool:
    return bool(await redis.exists(stop_key(slug, message_id)))


async def listen_for_stops(redis: Redis) -> AsyncIterator[tuple[str, str]]:
    """(slug, message id) of every request to stop an answer; ("", "") once the listener hears. Raises
    RedisError when the connection breaks.
    """
    async with redis.pubsub() as pubsub:
        await pubsub.psubscribe(STOP_PATTERN)
        async for message in pubsub.listen():
            if message["type"] == "psubscribe":
                yield "", ""
            elif message["type"] == "pmessage":
                yield message["channel"].decode().removesuffix(":stop"), message["data"].decode()
