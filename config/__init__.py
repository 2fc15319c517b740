"""Settings, URLs of the two hosts, the ASGI entry and the Celery application. Imported by nobody."""

from config.celery import app as celery_app  # every process that sends a task needs it, not only workers

__all__ = ["celery_app"]
