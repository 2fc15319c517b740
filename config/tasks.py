"""The scheduler's entry: carry out what is due in any tenant."""

import logging

from celery import Task, shared_task

from tenants.context import platform
from tenants.work.duties import carry_out_duties as carry_out

logger = logging.getLogger(__name__)


def _report(role: str, kind: str, error: Exception) -> None:
    logger.error("duty %s of %s failed and stays due", kind, role, exc_info=error)


@shared_task(base=Task, name="config.tasks.carry_out_duties", expires=30)
def carry_out_duties() -> int:
    """Runs for the platform, and enters each tenant that noted a duty."""
    with platform():
        return carry_out(_report)
