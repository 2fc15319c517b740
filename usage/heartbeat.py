"""The sign of life of a process that holds money. While it beats, nobody else touches the process's holds."""

import asyncio
import logging
import socket
from datetime import timedelta
from uuid import UUID

from django.db.models.functions import Now

from tenants.context import in_platform
from usage.platform.models import LEASE, Process

logger = logging.getLogger(__name__)

EVERY_S = 5.0
KEPT = timedelta(days=7)  # rows of ended processes, for the system administration


def _begin(process_id: UUID, kind: str) -> int:
    Process.objects.update_or_create(pk=process_id, defaults={"kind": kind, "host": socket.gethostname()[:255], "heartbeat_at": Now(), "ended_at": None})
    Process.objects.filter(heartbeat_at__lt=Now() - KEPT).delete()
    return Process.objects.living().count()


def _beat(process_id: UUID) -> int:
    Process.objects.filter(pk=process_id).update(heartbeat_at=Now())
    return Process.objects.living().count()


def _end(process_id: UUID) -> None:
    Process.objects.filter(pk=process_id).update(ended_at=Now())


class Heartbeat:
    """Start it before the ledger and stop it after. `live_processes` is the number of living ones, this one included."""

    def __init__(self, process_id: UUID, kind: str) -> None:
        self._process_id, self._kind = process_id, kind
        self._task: asyncio.Task | None = None
        self.live_processes = 1

    async def start(self) -> None:
        """Write the process's row; from then on it is alive."""
        self.live_processes = await in_platform(_begin, self._process_id, self._kind)
        self._task = asyncio.create_task(self._beat(), name="heartbeat")

    async def stop(self) -> None:
        """Sign off: holds that are left are orphans from now on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await in_platform(_end, self._process_id)
        except Exception:
            logger.warning("a process could not sign off; its lease ends in %d s", LEASE.seconds, exc_info=True)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                self.live_processes = max(1, await in_platform(_beat, self._process_id))
            except Exception:
                logger.warning("a heartbeat did not arrive; the next one follows in %d s", EVERY_S, exc_info=True)
