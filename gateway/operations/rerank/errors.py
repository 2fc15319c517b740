"""Errors at `/v2/rerank` as Cohere's clients read them, by its published description."""

from uuid import UUID

import orjson
from django.utils import translation

from foundation.errors import AtriumError
from foundation.ids import show_request_id
from gateway.dialects import Dialect, Header

USED_UP = "insufficient_quota"


class CoheresDialect:
    """See `gateway.dialects.Dialect`."""

    def status_of(self, error: AtriumError) -> int:
        """An empty budget is 402: its clients repeat every 429, and to ask again changes nothing."""
        return 402 if error.code == USED_UP else error.http_status

    def error_body(self, error: AtriumError, language: str, request_id: UUID) -> bytes:
        with translation.override(language):
            return orjson.dumps({"id": show_request_id(request_id), "message": str(error.message)})

    def write_headers(self, headers: list[Header]) -> list[Header]:
        return headers


COHERES: Dialect = CoheresDialect()
