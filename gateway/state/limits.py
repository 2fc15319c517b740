"""Step 3's counters: requests per minute, exact to half a second, atomic over all processes in Valkey.

A minute is the last 119 full half-seconds and the running one: a client that keeps to its limit in every 60 s
is never refused, and one that does not gets at most 0.9 % more. What has gathered while the last script ran
goes to the server in one script (a self-clocking lane), owned by this object, so that a caller who leaves
never leaves an unread reply behind.

Without Valkey each process counts in memory and allows limit ÷ last known number of processes: never
unlimited.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

logger = logging.getLogger(__name__)

SLOT_S = 0.5
SLOTS = 120
RETRY_AFTER_FAILURE_S = 1.0

# KEYS: one hash per counter, group after group. ARGV: the current slot, then for each group how many ask, its
# number of counters, and their limits. Returns for each group: how many are admitted, then for each counter
# what is left, and in how many slots the oldest counted one falls out.
_SCRIPT = """
local now, out, counters = tonumber(ARGV[1]), {}, {}
local function read(key)
  local counter = counters[key]
  if counter then return counter end
  local flat, old = redis.call('HGETALL', key), {}
  counter = {used = 0, oldest = now}
  for i = 1, #flat, 2 do
    local slot = tonumber(flat[i])
    if slot <= now - SLOTS then old[#old + 1] = flat[i]
    else
      counter.used = counter.used + tonumber(flat[i + 1])
      if slot < counter.oldest then counter.oldest = slot end
    end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
  counters[key] = counter
  return counter
end
local key, arg = 1, 2
while arg <= #ARGV do
  local admitted, count = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
  for i = 0, count - 1 do
    admitted = math.max(0, math.min(admitted, tonumber(ARGV[arg + 2 + i]) - read(KEYS[key + i]).used))
  end
  local row = {admitted}
  for i = 0, count - 1 do
    local counter = read(KEYS[key + i])
    if admitted > 0 then
      redis.call('HINCRBY', KEYS[key + i], now, admitted)
      redis.call('EXPIRE', KEYS[key + i], 61)
      counter.used = counter.used + admitted
    end
    row[#row + 1] = tonumber(ARGV[arg + 2 + i]) - counter.used
    row[#row + 1] = counter.oldest + SLOTS - now
  end
  out[#out + 1] = row
  key, arg = key + count, arg + 2 + count
end
return out
""".replace("SLOTS", str(SLOTS))

Counters = tuple[tuple[str, int], ...]  # (key, limit) of each; a request must fit into all


@dataclass(slots=True)
class Verdict:
    """Whether one request was admitted. The rest speaks of its tightest counter: its place, limit, what is
    left, seconds until something is free again.
    """

    is_admitted: bool
    tightest: int
    limit: int
    remaining: int
    reset_s: float


class Limiter:
    """Counts requests. Keys carry their tenant: `<slug>:rpm:…`."""

    def __init__(self, redis: Redis, processes: int = 1) -> None:
        self._redis = redis
        self._script = redis.register_script(_SCRIPT)
        self.processes = processes
        self._waiting: list[tuple[Counters, asyncio.Future[Verdict]]] = []
        self._lane: asyncio.Task | None = None
        self._memory: dict[str, dict[int, int]] = defaultdict(dict)
        self._use_memory_until_s = 0.0

    async def admit(self, *counters: tuple[str, int]) -> Verdict:
        """Count one request against limits per minute: in all of these counters, or, where one of them is
        full, in none.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((counters, future))
        if self._lane is None or self._lane.done():
            self._lane = asyncio.create_task(self._drain(), name="limits")
        return await future

    async def close(self) -> None:
        if self._lane:
            await asyncio.gather(self._lane, return_exceptions=True)

    async def _drain(self) -> None:
        while self._waiting:
            batch = self._waiting
            self._waiting = []
            groups: dict[Counters, list[asyncio.Future]] = defaultdict(list)
            for counters, future in batch:
                groups[counters].append(future)
            try:
                answers = await self._ask(groups)
            except Exception:
                logger.exception("counting requests failed")
                answers = self._count_in_memory(groups)
            for (counters, waiters), answer in zip(groups.items(), answers, strict=True):
                _answer(waiters, counters, answer)

    async def _ask(self, groups: dict[Counters, list]) -> list[list[int]]:
        if time.monotonic() >= self._use_memory_until_s:
            keys, arguments = [], [_slot()]
            for counters, waiters in groups.items():
                keys += [key for key, _limit in counters]
                arguments += [len(waiters), len(counters), *(limit for _key, limit in counters)]
            try:
                return await self._run_script(keys, arguments)
            except (RedisError, OSError, TimeoutError) as exc:
                logger.warning("Valkey does not answer (%s): counting in memory", type(exc).__name__)
                self._use_memory_until_s = time.monotonic() + RETRY_AFTER_FAILURE_S
                with contextlib.suppress(RedisError, OSError):
                    await self._redis.connection_pool.disconnect()
        return self._count_in_memory(groups)

    async def _run_script(self, keys: list[str], arguments: list[int]) -> list[list[int]]:
        """Past redis-py's object for scripts, which asks whether it is in a pipeline, call by call."""
        try:
            return await self._redis.evalsha(self._script.sha, len(keys), *keys, *arguments)
        except NoScriptError:  # the server was started anew
            return await self._script(keys=keys, args=arguments)

    def _count_in_memory(self, groups: dict[Counters, list]) -> list[list[int]]:
        """What the script does, for this process's share of each limit."""
        now, answers = _slot(), []
        for counters, waiters in groups.items():
            shares = [max(1, limit // max(1, self.processes)) for _key, limit in counters]
            counts = [self._recent(key, now) for key, _limit in counters]
            admitted = max(
                0,
                min(
                    len(waiters),
                    *(share - sum(count.values()) for share, count in zip(shares, counts, strict=True)),
                ),
            )
            answer = [admitted]
            for share, count in zip(shares, counts, strict=True):
                if admitted:
                    count[now] = count.get(now, 0) + admitted
                answer += [share - sum(count.values()), min(count, default=now) + SLOTS - now]
            answers.append(answer)
        return answers

    def _recent(self, key: str, now: int) -> dict[int, int]:
        counts = self._memory[key]
        for slot in [slot for slot in counts if slot <= now - SLOTS]:
            del counts[slot]
        return counts


def _slot() -> int:
    return int(time.time() / SLOT_S)


def _answer(waiters: list[asyncio.Future], counters: Counters, answer: list[int]) -> None:
    """Give each waiter its verdict. `answer`: how many are admitted, then for each counter what is left,
    and in how many slots something falls out.
    """
    admitted, left = answer[0], answer[1::2]
    tightest = left.index(min(left))
    limit = counters[tightest][1]
    rest = max(0, left[tightest])
    reset_s = max(0.0, answer[2 + 2 * tightest] * SLOT_S)
    for index, future in enumerate(waiters):
        if not future.done():
            future.set_result(
                Verdict(index < admitted, tightest, limit, rest + max(0, admitted - 1 - index), reset_s)
            )
