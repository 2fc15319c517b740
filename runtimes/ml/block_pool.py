"""The blocks of a model's key-value cache: an answer starts when all that it can come to need are free."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class BlockPool:
    """First come, first served, so that a long answer is not passed by short ones for ever. Runs on one event
    loop.
    """

    def __init__(self, blocks: int):
        self._free = blocks
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    @asynccontextmanager
    async def take(self, blocks: int) -> AsyncGenerator[None]:
        """Wait for this many blocks, which must not be more than there are; they are free again after the
        block of code.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, blocks))
        self._call_next()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._call_next()  # who stood behind may fit
            else:  # called and cancelled in the same moment
                self._give_back(blocks)
            raise
        try:
            yield
        finally:
            self._give_back(blocks)

    def _give_back(self, blocks: int) -> None:
        self._free += blocks
        self._call_next()

    def _call_next(self) -> None:
        while self._waiting:
            turn, blocks = self._waiting[0]
            if turn.cancelled():
                self._waiting.popleft()
            elif blocks <= self._free:
                self._waiting.popleft()
                self._free -= blocks
                turn.set_result(None)
            else:
                return
