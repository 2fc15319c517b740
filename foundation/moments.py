"""Answers that leave at fixed moments, so that how long they took says nothing of how they came about.

Guards against: learning from a refusal's time which tenants and key ids exist. Does not guard
against: work of more than a step, which moves the answer to the next moment (choose a step that the slowest
way of refusing stays below); others' answers that leave later because this one was work.
"""

import asyncio
import time

TIMER_S = 0.001  # a loop's timers count whole milliseconds, from when the wait began


def rest_of_step_s(elapsed_s: float, step_s: float) -> float:
    """The seconds from `elapsed_s` to the next whole number of steps; a whole step where one is just full."""
    return step_s - elapsed_s % step_s


async def wait_for_moment(begun_s: float, step_s: float) -> None:
    """Return a whole number of steps after `begun_s`, a time of `time.perf_counter`. Holds no thread."""
    now_s = time.perf_counter()
    end_s = now_s + rest_of_step_s(now_s - begun_s, step_s)
    await asyncio.sleep(end_s - time.perf_counter() - TIMER_S)
    while time.perf_counter() < end_s:  # noqa: ASYNC110 - no event tells the time
        await asyncio.sleep(0)
