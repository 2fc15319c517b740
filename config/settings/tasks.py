"""Celery: the queue is only a wake-up, the truth is in PostgreSQL."""

from config.settings.database import REDIS_URL

CELERY_BROKER_URL = (REDIS_URL or "memory://").replace("unix://", "redis+socket://")
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 1_800
# above the hard time limit
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 7_200, "global_keyprefix": "platform:celery:"}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {"carry-out-duties": {"task": "config.tasks.carry_out_duties", "schedule": 5.0}}
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
