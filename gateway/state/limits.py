"""Step 4's counters, exact over all processes in Valkey: requests and tokens per minute, tokens per day,
calls at once. A call is counted by all limits that bind it, or, where one of them is full, by none.

A minute is the last 119 full half-seconds and the running one: who keeps to a limit in every 60 s is never
refused, and who does not gets at most 0.9 % more. A day goes by in ten minutes each. Tokens are taken at the
highest estimate; what was not used is given back into the slot it was taken from. Of calls at once each
process keeps one number per counter, which it renews while it lives: a process that is killed holds its
calls for LEASE_S more, and its tokens until their window has passed.

What has gathered while the last script ran goes to the server in one script (a self-clocking lane), owned by
this object, so that a caller who leaves never leaves an unread reply behind, and nothing taken.

Without Valkey each process counts in memory and allows limit ÷ last known number of processes: never
unlimited.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from foundation.ids import uuid7
from gateway.bounds import LEASE, Bounds, Verdict
from gateway.state.limits_memory import MemoryCounters
from gateway.state.limits_script import LEASE_S, SCRIPT, SLOTS, Answer, slot_at

logger = logging.getLogger(__name__)

RETRY_AFTER_FAILURE_S = 1.0
RENEW_S = LEASE_S / 3

Asked = tuple[Bounds, int]  # what one call asks for: (its limits, the tokens it may use)


class Limiter:
    """Counts calls. Create and close it on the loop that asks."""

    def __init__(self, redis: Redis, processes: int = 1) -> None:
        self._redis = redis
        self._script = redis.register_script(SCRIPT)
        self._process = uuid7().hex
        self._waiting: list[tuple[Asked, asyncio.Future[Verdict]]] = []
        self._returns: dict[tuple[str, str, int], int] = {}  # (key, kind, slot) → what goes back into it
        self._held: dict[str, int] = {}  # counter of calls at once → those of this process
        self._unsaid: set[str] = set()  # of these Valkey does not know the number
        self._lane: asyncio.Task | None = None
        self._renewal: asyncio.TimerHandle | None = None
        self._memory = MemoryCounters(self._held)
        self._use_memory_until_s = 0.0
        self.processes = processes

    async def admit(self, bounds: Bounds, tokens: int = 0) -> Verdict:
        """Count one call that uses at most so many tokens: by all of these limits, or by none. What was
        counted for a caller who is cancelled meanwhile is given back.
        """
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append(((bounds, tokens), future))
        self._start_lane()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give_back(future.result())
            raise

    def give_back(self, verdict: Verdict, used_tokens: int = 0) -> None:
        """The call is over: its place is free, and the tokens that it did not use. Once for each verdict."""
        if not verdict.is_admitted:
            return
        unused = verdict.tokens - used_tokens
        for bound in verdict.bounds:
            if bound.kind == LEASE:
                self._held[bound.key] = max(0, self._held.get(bound.key, 0) - 1)
                self._unsaid.add(bound.key)
            elif bound.is_of_tokens and unused:
                if verdict.is_in_memory:
                    self._memory.give_back(bound, verdict.taken_ms, unused)
                else:
                    place = (bound.key, bound.kind, slot_at(bound.kind, verdict.taken_ms))
                    self._returns[place] = self._returns.get(place, 0) + unused
        self._start_lane()

    async def close(self) -> None:
        if self._renewal:
            self._renewal.cancel()
        if self._lane:
            await asyncio.gather(self._lane, return_exceptions=True)

    def _start_lane(self) -> None:
        if self._has_work and (self._lane is None or self._lane.done()):
            self._lane = asyncio.create_task(self._drain(), name="limits")

    @property
    def _has_work(self) -> bool:
        if self._waiting:
            return True
        # what goes back waits while there is nobody to tell it
        return bool(self._returns or self._unsaid) and time.monotonic() >= self._use_memory_until_s

    async def _drain(self) -> None:
        while self._has_work:
            batch = self._waiting
            self._waiting = []
            groups: dict[Asked, list[asyncio.Future]] = defaultdict(list)
            for asked, future in batch:
                groups[asked].append(future)
            now_ms, is_in_memory = int(time.time() * 1000), False
            try:
                answers = await self._ask(groups, now_ms)
            except Exception as exc:
                if not isinstance(exc, RedisError | OSError | TimeoutError):
                    logger.exception("counting calls failed")
                answers = self._memory.count(groups, now_ms, self.processes)
                is_in_memory = True
            for (asked, waiters), answer in zip(groups.items(), answers, strict=True):
                self._note_leases(asked[0], answer[0], is_said=not is_in_memory)
                self._tell(asked, waiters, answer, now_ms, is_in_memory=is_in_memory)

    async def _ask(self, groups: dict[Asked, list], now_ms: int) -> list[Answer]:
        """Raises what the client raises; while Valkey is left alone after a failure, OSError."""
        if time.monotonic() < self._use_memory_until_s:
            raise OSError
        returns, unsaid = self._returns, self._unsaid
        self._returns = {}
        self._unsaid = set()
        keys, arguments = [], [now_ms, self._process, len(groups)]
        for (bounds, tokens), waiters in groups.items():
            keys += [bound.key for bound in bounds]
            arguments += [len(waiters), len(bounds)]
            for bound in bounds:
                arguments += [bound.kind, tokens if bound.is_of_tokens else 1, bound.amount]
        for (key, kind, slot), amount in returns.items():
            keys.append(key)
            arguments += [kind, slot, amount]
        for key in unsaid:
            keys.append(key)
            arguments += [LEASE, 0, self._held.get(key, 0)]
        try:
            return await self._run_script(keys, arguments)
        except (RedisError, OSError, TimeoutError) as exc:
            logger.warning("Valkey does not answer (%s): counting in memory", type(exc).__name__)
            self._leave_alone(returns, unsaid, now_ms)
            with contextlib.suppress(RedisError, OSError):
                await self._redis.connection_pool.disconnect()
            raise
        finally:
            for key in [key for key in unsaid if not self._held.get(key)]:
                self._held.pop(key, None)

    async def _run_script(self, keys: list[str], arguments: list) -> list[Answer]:
        """Past redis-py's object for scripts, which asks whether it is in a pipeline, call by call."""
        try:
            return await self._redis.evalsha(self._script.sha, len(keys), *keys, *arguments)
        except NoScriptError:  # the server was started anew
            return await self._script(keys=keys, args=arguments)

    def _leave_alone(self, returns: dict[tuple[str, str, int], int], unsaid: set[str], now_ms: int) -> None:
        """Ask nothing for a moment, and keep what was to go back, unless its window has passed."""
        self._use_memory_until_s = time.monotonic() + RETRY_AFTER_FAILURE_S
        self._unsaid |= unsaid
        for place, amount in returns.items():
            _key, kind, slot = place
            if slot > slot_at(kind, now_ms) - SLOTS[kind]:
                self._returns[place] = self._returns.get(place, 0) + amount
        self._renew_later(RETRY_AFTER_FAILURE_S)

    def _note_leases(self, bounds: Bounds, admitted: int, *, is_said: bool) -> None:
        if not admitted:
            return
        for bound in bounds:
            if bound.kind == LEASE:
                self._held[bound.key] = self._held.get(bound.key, 0) + admitted
                if not is_said:
                    self._unsaid.add(bound.key)
                if self._renewal is None:
                    self._renew_later(RENEW_S)

    def _renew_later(self, delay_s: float) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
        self._renewal = asyncio.get_running_loop().call_later(delay_s, self._renew)

    def _renew(self) -> None:
        """Tell Valkey again how many calls this process has in work, also after it forgot."""
        self._renewal = None
        self._unsaid |= self._held.keys()
        self._start_lane()
        if self._held or self._returns or self._unsaid:
            self._renew_later(RENEW_S)

    def _tell(
        self,
        asked: Asked,
        waiters: list[asyncio.Future],
        answer: Answer,
        now_ms: int,
        *,
        is_in_memory: bool,
    ) -> None:
        """Give each waiter its verdict. The answer: how many are admitted, then for each limit what is left,
        and the milliseconds until something falls out and until there is room (below 0: never).
        """
        (bounds, tokens), admitted = asked, answer[0]
        left, reset_s = answer[1::3], [max(0, ms) / 1000 for ms in answer[2::3]]
        wait_s = [None if ms < 0 else ms / 1000 for ms in answer[3::3]]
        for index, future in enumerate(waiters):
            is_admitted = index < admitted
            later = max(0, admitted - 1 - index)  # those behind it, whose share was still there for it
            verdict = Verdict(
                bounds=bounds,
                tokens=tokens,
                is_admitted=is_admitted,
                left=[
                    rest + later * (tokens if bound.is_of_tokens else 1)
                    for rest, bound in zip(left, bounds, strict=True)
                ],
                reset_s=reset_s,
                wait_s=wait_s,
                taken_ms=now_ms,
                is_in_memory=is_in_memory,
            )
            if not future.done():
                future.set_result(verdict)
            else:
                self.give_back(verdict)
