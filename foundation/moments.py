"""Answers that leave at moments of their own, so that how long they took says nothing of how they came about.

Guards against: learning from a refusal's time which tenants and key ids exist. The moment is a whole number
of steps and a blur that is drawn. The blur hides what the step leaves: an answer that was work moves others'
work towards its own moment, which under load makes some 30 µs in the mean; to see them takes thirty times as
many questions as without. Does not guard against: work of more than a step, which moves the answer to the
next one (choose a step that the slowest way of refusing stays below).
"""

import asyncio
import secrets
import time

TIMER_S = 0.001  # a loop's timers count whole milliseconds, from when the wait began
BLUR = 0.2  # of a step, at most
_random = secrets.SystemRandom()


def rest_of_step_s(elapsed_s: float, step_s: float) -> float:
    """The seconds from `elapsed_s` to the next whole number of steps; a whole step where one is just full."""
    return step_s - elapsed_s % step_s


async def wait_for_moment(begun_s: float, step_s: float) -> None:
    """Return a whole number of steps and a blur after `begun_s`, a time of `time.perf_counter`. Holds no
    thread.
    """
    now_s = time.perf_counter()
    end_s = now_s + rest_of_step_s(now_s - begun_s, step_s) + _random.uniform(0, BLUR * step_s)
    await asyncio.sleep(end_s - time.perf_counter() - TIMER_S)
    while time.perf_counter() < end_s:  # noqa: ASYNC110 - no event tells the time
        await asyncio.sleep(0)
