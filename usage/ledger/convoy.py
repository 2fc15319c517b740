"""Several tenants' batches in one transaction: what is ready when the last one has been committed goes
together, so that the cost of a commit does not grow with the number of tenants.

Guards against: a tenant who spoils the transaction of all (its tables are locked, or its operation is
refused): then each goes alone, and whoever fails alone stays away until it has succeeded
(usage.ledger.lanes).
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import NamedTuple

from usage.ledger.parts import Part, transact
from usage.ledger.wire import Wire, Wires, is_answer

MOST_TENANTS = 32  # that wait for each other
AT_ONCE = 2  # transactions under way; the other connections are for those who go apart


class Spoiled(Exception):
    """The transaction failed, through any of those who shared it."""


Arrival = tuple[Part, Exception | None]


class _Passenger(NamedTuple):
    schema: str
    load: Callable[[], Part]
    arrived: asyncio.Future[Arrival]


class Convoy:
    """One per ledger."""

    def __init__(self, wires: Wires) -> None:
        self._wires = wires
        self._waiting: list[_Passenger] = []
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def board(self, schema: str, load: Callable[[], Part]) -> asyncio.Future[Arrival]:
        """What `load` gives at the departure, and the failure if it came to one."""
        loop = asyncio.get_running_loop()
        passenger = _Passenger(schema, load, loop.create_future())
        self._waiting.append(passenger)
        if self._under_way < AT_ONCE:
            self._under_way += 1
            task = loop.create_task(self._travel(), name="ledger convoy", context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return passenger.arrived

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _travel(self) -> None:
        try:
            while self._waiting:
                await self._depart()
        finally:
            self._under_way -= 1  # before anybody else can board

    async def _depart(self) -> None:
        aboard: list[tuple[_Passenger, Part]] = []
        failure: Exception | None = ConnectionAbortedError("the ledger stops")
        try:
            await self._wires.use(self, partial(self._carry, aboard))
            failure = None
        except Exception as exc:
            failure = Spoiled() if len(aboard) > 1 and is_answer(exc) else exc
        finally:
            if failure and not aboard:  # there was no connection: whoever waits shall hear of it
                self._load(aboard)
            for passenger, part in aboard:
                if not passenger.arrived.done():
                    passenger.arrived.set_result((part, failure))

    async def _carry(self, aboard: list[tuple[_Passenger, Part]], wire: Wire) -> None:
        self._load(aboard)  # late: what has come while a connection was waited for goes too
        if aboard:
            await transact([part for _passenger, part in aboard], wire)

    def _load(self, aboard: list[tuple[_Passenger, Part]]) -> None:
        first, self._waiting = self._waiting[:MOST_TENANTS], self._waiting[MOST_TENANTS:]
        present = [passenger for passenger in first if not passenger.arrived.done()]
        present.sort(key=lambda passenger: passenger.schema)
        aboard.extend((passenger, passenger.load()) for passenger in present)
