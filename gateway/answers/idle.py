"""How long an upstream may say nothing while we wait for more of its answer."""

import asyncio

import aiohttp


class IdleWatch:
    """Ends a wait for `content` with TimeoutError once it lasts longer than `limit_s`; until the answer has
    begun (`note_begin`), than `first_s`. `with` stops the watch.

    It ends all waits `total_s` after its beginning: nothing but signs of life is no answer.

    aiohttp's own `sock_read` moves a timer with every piece of data (5 % of a stream's CPU), and counts the
    time to the first byte too; this timer moves only when it fires. Time in which nobody waits, because the
    client reads slowly, does not count.
    """

    __slots__ = (
        "_begun_s",
        "_content",
        "_first_s",
        "_has_begun",
        "_limit_s",
        "_loop",
        "_timer",
        "_total_s",
        "_waits_since_s",
    )

    def __init__(self, content: aiohttp.StreamReader, limit_s: float, first_s: float, total_s: float) -> None:
        self._content = content
        self._limit_s = limit_s
        self._first_s = first_s
        self._total_s = total_s
        self._has_begun = False
        self._loop = asyncio.get_running_loop()
        self._waits_since_s: float | None = None
        self._begun_s = self._loop.time()
        self._timer = self._loop.call_later(min(limit_s, first_s), self._look)

    def __enter__(self) -> "IdleWatch":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._timer.cancel()

    async def read(self) -> bytes:
        """What has come, at least one byte; b"" at the end. Raises TimeoutError, aiohttp.ClientError."""
        self._waits_since_s = self._loop.time()
        part = await self._content.readany()
        self._waits_since_s = None
        return part

    def note_begin(self) -> None:
        """The first piece of the answer came: a server that reads a long prompt says little before it."""
        self._has_begun = True

    def _look(self) -> None:
        since_s = self._waits_since_s
        limit_s = self._limit_s if self._has_begun else self._first_s
        now_s = self._loop.time()
        rest_s = limit_s if since_s is None else since_s + limit_s - now_s
        total_rest_s = self._begun_s + self._total_s - now_s
        if rest_s > 0 and total_rest_s > 0:
            # the answer may begin in the next moment, and then has `limit_s` only
            self._timer = self._loop.call_later(min(rest_s, self._limit_s, total_rest_s), self._look)
        else:
            self._content.set_exception(TimeoutError("the upstream is silent"))
