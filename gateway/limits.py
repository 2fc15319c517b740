"""Step 3's counters: requests per minute, exact to half a second, atomic over all processes in Valkey.

A minute is the last 119 full half-seconds and the running one: a client that keeps to its limit in every 60 s is never refused, and one
that does not gets at most 0.9 % more. What has gathered while the last script ran goes to the server in one script (a self-clocking lane),
owned by this object, so that a caller who leaves never leaves an unread reply behind.

Without Valkey each process counts in memory and allows limit ÷ last known number of processes: never unlimited.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

SLOT_S = 0.5
SLOTS = 120
RETRY_AFTER_FAILURE_S = 1.0

# KEYS: one hash per counter. ARGV: the current slot, then for each counter its limit and how many ask.
# Returns for each counter: how many of them are admitted, what is left, and in how many slots the oldest counted one falls out.
_SCRIPT = """
local now, out = tonumber(ARGV[1]), {}
for i, key in ipairs(KEYS) do
  local limit, asked = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local flat, used, oldest, old = redis.call('HGETALL', key), 0, now, {}
  for j = 1, #flat, 2 do
    local slot = tonumber(flat[j])
    if slot <= now - SLOTS then old[#old + 1] = flat[j]
    else used = used + tonumber(flat[j + 1]); if slot < oldest then oldest = slot end end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
  local admitted = math.max(0, math.min(asked, limit - used))
  if admitted > 0 then redis.call('HINCRBY', key, now, admitted); redis.call('EXPIRE', key, 61) end
  out[#out + 1] = {admitted, limit - used - admitted, oldest + SLOTS - now}
end
return out
""".replace("SLOTS", str(SLOTS))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one request was admitted; what is left of the limit; seconds until something is free again."""

    is_admitted: bool
    limit: int
    remaining: int
    reset_s: float


class Limiter:
    """Counts requests. Keys carry their tenant: `<slug>:rpm:…`."""

    def __init__(self, redis: Redis, processes: int = 1) -> None:
        self._redis = redis
        self._script = redis.register_script(_SCRIPT)
        self.processes = processes
        self._waiting: list[tuple[str, int, asyncio.Future[Verdict]]] = []
        self._lane: asyncio.Task | None = None
        self._memory: dict[str, dict[int, int]] = defaultdict(dict)
        self._use_memory_until_s = 0.0

    async def admit(self, key: str, limit: int) -> Verdict:
        """Count one request against a limit per minute."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((key, limit, future))
        if self._lane is None or self._lane.done():
            self._lane = asyncio.create_task(self._drain(), name="limits")
        return await future

    async def close(self) -> None:
        if self._lane:
            await asyncio.gather(self._lane, return_exceptions=True)

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            groups: dict[tuple[str, int], list[asyncio.Future]] = defaultdict(list)
            for key, limit, future in batch:
                groups[key, limit].append(future)
            try:
                answers = await self._ask(groups)
            except Exception:
                logger.exception("counting requests failed")
                answers = [self._count_in_memory(key, limit, len(waiters)) for (key, limit), waiters in groups.items()]
            for ((_key, limit), waiters), (admitted, left, slots) in zip(groups.items(), answers, strict=True):
                _tell(waiters, limit, admitted, left, slots)

    async def _ask(self, groups: dict[tuple[str, int], list]) -> list[tuple[int, int, int]]:
        if time.monotonic() >= self._use_memory_until_s:
            arguments: list[int] = [_slot()]
            for (_key, limit), waiters in groups.items():
                arguments += [limit, len(waiters)]
            try:
                return await self._script(keys=[key for key, _limit in groups], args=arguments)
            except (RedisError, OSError, TimeoutError) as exc:
                logger.warning("Valkey does not answer (%s): counting in memory", type(exc).__name__)
                self._use_memory_until_s = time.monotonic() + RETRY_AFTER_FAILURE_S
                with contextlib.suppress(RedisError, OSError):
                    await self._redis.connection_pool.disconnect()
        return [self._count_in_memory(key, limit, len(waiters)) for (key, limit), waiters in groups.items()]

    def _count_in_memory(self, key: str, limit: int, asked: int) -> tuple[int, int, int]:
        now, share = _slot(), max(1, limit // max(1, self.processes))
        counts = self._memory[key]
        for slot in [slot for slot in counts if slot <= now - SLOTS]:
            del counts[slot]
        used = sum(counts.values())
        admitted = max(0, min(asked, share - used))
        counts[now] = counts.get(now, 0) + admitted
        return admitted, share - used - admitted, min(counts) + SLOTS - now


def _slot() -> int:
    return int(time.time() / SLOT_S)


def _tell(waiters: list[asyncio.Future], limit: int, admitted: int, left: int, slots: int) -> None:
    reset_s = max(0.0, slots * SLOT_S)
    for index, future in enumerate(waiters):
        if not future.done():
            behind = max(0, admitted - 1 - index)
            future.set_result(Verdict(index < admitted, limit, max(0, left) + behind, reset_s))
