"""How long an upstream may say nothing while we wait for more of its answer."""

import asyncio
import math

import aiohttp

NOBODY_WAITS_S = 0.1  # until it is looked whether the client has read


class _Over(Exception):
    """The answer has ended, and nothing followed."""


class IdleWatch:
    """Ends a wait for `content` with TimeoutError once it lasts longer than `limit_s`; until the answer has
    begun (`note_begin`), than `first_s`. `with` stops the watch.

    After the answer's end (`note_end`) nobody waits for long, whatever signs of life come: a wait ends as at
    the end of the connection.

    It ends all waits `total_s` after its beginning: nothing but signs of life is no answer. Until the answer
    has begun it does so after `begins_within_s`. The first wait began `waited_s` before it.

    aiohttp's own `sock_read` moves a timer with every piece of data (5 % of a stream's CPU), and counts the
    time to the first byte too; this timer moves only when it fires. Time in which nobody waits, because the
    client reads slowly, does not count.
    """

    __slots__ = (
        "_begins_within_s",
        "_begun_s",
        "_content",
        "_ends_s",
        "_first_s",
        "_has_begun",
        "_limit_s",
        "_loop",
        "_timer",
        "_total_s",
        "_waited_s",
        "_waits_since_s",
        "is_over",
    )

    def __init__(
        self,
        content: aiohttp.StreamReader,
        limit_s: float,
        first_s: float,
        total_s: float,
        begins_within_s: float = math.inf,
        waited_s: float = 0.0,
    ) -> None:
        self._content = content
        self._limit_s = limit_s
        self._first_s = first_s
        self._total_s = total_s
        self._begins_within_s = begins_within_s
        self._waited_s = waited_s
        self._has_begun = False
        self._loop = asyncio.get_running_loop()
        self._waits_since_s: float | None = None
        self.is_over = False  # the last wait ended so, and the connection did not
        self._ends_s: float | None = None
        self._begun_s = self._loop.time()
        self._timer = self._loop.call_later(
            min(limit_s, first_s - waited_s, total_s, begins_within_s), self._look
        )

    def __enter__(self) -> "IdleWatch":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._timer.cancel()

    async def read(self) -> bytes:
        """What has come, at least one byte; b"" at the end. Raises TimeoutError, aiohttp.ClientError."""
        self._waits_since_s = self._loop.time() - self._waited_s
        self._waited_s = 0.0
        try:
            part = await self._content.readany()
        except _Over:
            self.is_over = True
            part = b""
        self._waits_since_s = None
        return part

    def note_begin(self) -> None:
        """The first piece of the answer came: a server that reads a long prompt says little before it."""
        self._has_begun = True

    def note_end(self, after_s: float) -> None:
        """The answer said that it is over: what still follows has so long to come, and no longer than
        between two pieces.
        """
        self._ends_s = self._loop.time() + after_s
        self._timer.cancel()
        self._timer = self._loop.call_later(min(after_s, self._limit_s), self._look)

    def note_more(self) -> None:
        """That end was none: the answer goes on, as before it."""
        self._ends_s = None

    def _look(self) -> None:
        since_s = self._waits_since_s
        limit_s = self._limit_s if self._has_begun else self._first_s
        now_s = self._loop.time()
        rest_s = limit_s if since_s is None else since_s + limit_s - now_s
        total_s = self._total_s if self._has_begun else min(self._total_s, self._begins_within_s)
        total_rest_s = self._begun_s + total_s - now_s
        if self._ends_s is not None:
            self._look_for_end(min(self._ends_s - now_s, rest_s, total_rest_s))
        elif rest_s > 0 and total_rest_s > 0:
            # the answer may begin in the next moment, and then has `limit_s` only
            self._timer = self._loop.call_later(min(rest_s, self._limit_s, total_rest_s), self._look)
        else:
            self._content.set_exception(TimeoutError("the upstream is silent"))

    def _look_for_end(self, rest_s: float) -> None:
        """What has come is read first: nobody waits while the client reads slowly."""
        if rest_s > 0 or self._waits_since_s is None:
            self._timer = self._loop.call_later(max(rest_s, NOBODY_WAITS_S), self._look)
        else:
            self._content.set_exception(_Over())
