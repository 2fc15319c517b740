"""What each log line carries besides its text."""

import logging
from contextvars import ContextVar

from tenants.context import scope_label

request_id_of_context: ContextVar[str] = ContextVar("atrium_request_id", default="-")


class ContextFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.tenant = scope_label()
        record.request_id = request_id_of_context.get()
        return True
