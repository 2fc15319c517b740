"""Log lines carry tenant and request id, never prompts, documents or keys."""

from config.settings import env

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "context": {"()": "config.logging.ContextFilter"},
        "secrets": {"()": "tenants.sealing.SecretFilter"},
    },
    "formatters": {
        "line": {
            "()": "foundation.log_lines.LineFormatter",
            "format": (
                "%(asctime)s %(levelname)s %(name)s tenant=%(tenant)s request=%(request_id)s %(message)s"
            ),
        }
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["context", "secrets"]}
    },
    "root": {"handlers": ["stderr"], "level": env.read("ATRIUM_LOG_LEVEL", "INFO")},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "django.server": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "celery": {"level": "WARNING"},
        "uvicorn.access": {"level": "WARNING"},
    },
}
