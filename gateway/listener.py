"""Hearing what other processes changed: one LISTEN connection per process, proven by its own heartbeat.

The listener sends itself a beat every quarter of a second. Only while beats come back are memories trusted
beyond one second.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable

import psycopg

from tenants.notify import CHANNEL

logger = logging.getLogger(__name__)

BEAT_S = 0.25
PROVEN_S = 0.75
RECONNECT_S = 0.5


class Listener:
    """Calls `on_change(slug, kind, id)` for each notification, and `on_gap()` when some may have been
    missed.
    """

    def __init__(
        self, dsn: str, on_change: Callable[[str, str, str], None], on_gap: Callable[[], None]
    ) -> None:
        self._dsn = dsn
        self._on_change = on_change
        self._on_gap = on_gap
        self._name = f"{os.getpid()}-{id(self)}"
        self._heard_s = -1e9
        self._task: asyncio.Task | None = None

    def is_proven(self) -> bool:
        return time.monotonic() - self._heard_s < PROVEN_S

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen_forever(), name="listener")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen_forever(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    self._on_gap()
                    await self._listen(connection)
            except psycopg.Error as exc:
                logger.warning("the listener lost the database: %s", type(exc).__name__)
            self._heard_s = -1e9
            await asyncio.sleep(RECONNECT_S)

    async def _listen(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            await connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"-:beat:{self._name}"])
            async for note in connection.notifies(timeout=BEAT_S):
                slug, kind, object_id = note.payload.split(":", 2)
                if kind == "beat":
                    if object_id == self._name:
                        self._note_beat()
                else:
                    self._on_change(slug, kind, object_id)

    def _note_beat(self) -> None:
        if not self.is_proven() and self._heard_s > 0:
            self._on_gap()  # the loop stood still: what was trusted meanwhile may be old
        self._heard_s = time.monotonic()
