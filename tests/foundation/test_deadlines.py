"""A limit for what a task waits for."""

import asyncio

import pytest

from foundation.deadlines import Deadline
from gateway.http import in_time

SOON_S, LATE_S = 0.01, 30.0


async def wait(limit_s: float) -> str:
    with Deadline(limit_s):
        await asyncio.sleep(2 * SOON_S)
    return "done"


async def test_what_takes_longer_ends_and_the_task_goes_on():
    with pytest.raises(TimeoutError):
        await wait(SOON_S)
    assert asyncio.current_task().cancelling() == 0
    assert await wait(LATE_S) == "done"


@pytest.mark.parametrize("is_late", [False, True])
async def test_who_is_cancelled_by_others_is_cancelled(is_late):
    deadline = Deadline(LATE_S)

    async def wait_long() -> None:
        with deadline:
            await asyncio.sleep(LATE_S)

    task = asyncio.create_task(wait_long())
    await asyncio.sleep(0)
    task.cancel()
    if is_late:
        deadline._end()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_work_that_has_begun_is_told_the_end_of_its_time_and_of_its_task():
    heard = []

    async def work() -> str:
        try:
            await asyncio.sleep(2 * SOON_S)
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise
        return "done"

    assert await in_time(LATE_S, work()) == "done"
    with pytest.raises(TimeoutError):
        await in_time(SOON_S, work())
    task = asyncio.create_task(in_time(LATE_S, work()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == ["cancelled"] * 2
