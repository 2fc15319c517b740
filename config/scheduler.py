"""One scheduler for the whole installation: Celery's beat, run by whoever holds the leader lock.

The lock is a PostgreSQL advisory lock on a connection of its own: it falls when its holder dies, and another
process takes over.
"""

import logging
import time

import psycopg
from celery.beat import Scheduler
from django.conf import settings

from config.celery import app

logger = logging.getLogger(__name__)
LEADER_LOCK = 4_711_001  # any number that nothing else in this database locks
RETRY_S = 5.0


def run_scheduler() -> None:
    """Wait for the lock, then schedule until the connection that holds it breaks; again, for the life of the
    process.
    """
    while True:
        try:
            with psycopg.connect(settings.DATABASE_DSN, autocommit=True) as lock:
                _lead(lock)
        except psycopg.OperationalError:
            logger.warning("the scheduler lost the database and waits for it")
        time.sleep(RETRY_S)


def _lead(lock: psycopg.Connection) -> None:
    if lock.execute("SELECT pg_try_advisory_lock(%s)", [LEADER_LOCK]).fetchone() != (True,):
        return
    # in memory: its one entry is due at once after a change of leader
    scheduler = Scheduler(app, max_interval=RETRY_S)
    while True:
        lock.execute("SELECT 1")  # raises when the lock's connection is gone: no scheduling without the lock
        time.sleep(min(max(scheduler.tick(), 0.1), RETRY_S))
