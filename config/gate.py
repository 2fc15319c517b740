"""At most so many at once; the others wait in line, and not for long.

Guards against: more requests in work than the database has connections for, and one host that takes every
place or the whole line.
Does not guard: a crowd under many made-up host names; how much one address may ask for is the proxy's to
limit.
"""

import asyncio
from collections import Counter


class Gate:
    """`places` at once and `line` waiting, at most `wait_s` each. One host has at most half of
    either. Belongs to one event loop.
    """

    def __init__(self, places: int, line: int, wait_s: float) -> None:
        self._places = places
        self._line = line
        self._wait_s = wait_s
        self._inside: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], str] = {}  # in the order in which they came

    async def enter(self, host: str, gone: asyncio.Future) -> bool:
        """Whether a place was got; give it back with `leave`. False: the line is full, or it took
        too long, or `gone` was done first.
        """
        if self.enter_at_once(host):
            return True
        if len(self._waiting) >= self._line or list(self._waiting.values()).count(host) >= _half(self._line):
            return False
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = host
        try:
            await asyncio.wait({turn, gone}, timeout=self._wait_s, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if turn.done():
                self.leave(host)  # called in the very moment it gave up
            raise
        finally:
            self._waiting.pop(turn, None)
        return turn.done()

    def enter_at_once(self, host: str) -> bool:
        """Whether a place was free. Overtakes nobody: whoever waits while places are free waits for one of
        its own host's.
        """
        if self._inside.total() >= self._places or self._inside[host] >= _half(self._places):
            return False
        self._inside[host] += 1
        return True

    def leave(self, host: str) -> None:
        """Give a place back: the first in line that may have it gets it."""
        self._inside[host] -= 1
        if not self._inside[host]:
            del self._inside[host]
        for turn, waiting_host in self._waiting.items():
            if self.enter_at_once(waiting_host):
                del self._waiting[turn]
                turn.set_result(None)
                return


def _half(number: int) -> int:
    return -(-number // 2)
