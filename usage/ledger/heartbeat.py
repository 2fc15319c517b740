"""The sign of life of a process that holds money. While it beats, nobody else touches the process's holds."""

import asyncio
import logging
import socket
from datetime import timedelta
from uuid import UUID

import psycopg
from django.conf import settings
from django.db.models.functions import Now
from psycopg import sql

from tenants.context import in_platform
from tenants.slugs import role_name
from usage.platform.models import LEASE, Process

logger = logging.getLogger(__name__)

EVERY_S = 5.0
KEPT = timedelta(days=7)  # rows of ended processes, for the system administration


def _begin(process_id: UUID, kind: str) -> int:
    Process.objects.update_or_create(
        pk=process_id,
        defaults={"kind": kind, "host": socket.gethostname()[:255], "heartbeat_at": Now(), "ended_at": None},
    )
    Process.objects.filter(heartbeat_at__lt=Now() - KEPT).delete()
    return Process.objects.living().count()


def _end(process_id: UUID) -> None:
    Process.objects.filter(pk=process_id).update(ended_at=Now())


async def _beat(process_id: UUID) -> int:
    """Renew the lease and count the living, on a connection of its own: neither full pools nor busy threads
    may stop the heart.
    """
    role = sql.Identifier(role_name(settings.DATABASES["default"]["NAME"], "platform"))
    async with asyncio.timeout(EVERY_S):
        connection = await psycopg.AsyncConnection.connect(
            settings.DATABASE_DSN, autocommit=True, application_name="atrium-heartbeat"
        )
        async with connection:
            await connection.execute(sql.SQL("SET ROLE {}").format(role))
            await connection.execute(
                "UPDATE public.usage_platform_process SET heartbeat_at = clock_timestamp() WHERE id = %s",
                [process_id],
            )
            found = await connection.execute(
                "SELECT count(*) FROM public.usage_platform_process WHERE ended_at IS NULL AND heartbeat_at "
                "> clock_timestamp() - %s",
                [LEASE],
            )
            row = await found.fetchone()
    return row[0] if row else 1


class Heartbeat:
    """Start it before the ledger and stop it after. `live_processes` is the number of living ones, this one
    included.
    """

    def __init__(self, process_id: UUID, kind: str) -> None:
        self._process_id = process_id
        self._kind = kind
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
            logger.warning(
                "a process could not sign off; its lease ends in %d s", LEASE.seconds, exc_info=True
            )

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                self.live_processes = max(1, await _beat(self._process_id))
            except Exception:
                logger.warning(
                    "a heartbeat did not arrive; the next one follows in %d s", EVERY_S, exc_info=True
                )
