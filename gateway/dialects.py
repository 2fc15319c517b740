"""What all answers at an address of `/v1` have in common, whatever is served there: the shape of errors, and
the names of headers. OpenAI's, unless an address belongs to another dialect.
"""

from typing import Protocol
from uuid import UUID

from foundation.errors import AtriumError
from gateway.errors import error_body

Header = tuple[bytes, bytes]


class Dialect(Protocol):
    def status_of(self, error: AtriumError) -> int:
        """The status by which its clients know an error."""

    def error_body(self, error: AtriumError, language: str, request_id: UUID) -> bytes:
        """The JSON body, its message in the given language."""

    def write_headers(self, headers: list[Header]) -> list[Header]:
        """The headers of an answer under the names that its clients know."""


class OpenAIsDialect:
    def status_of(self, error: AtriumError) -> int:
        return error.http_status

    def error_body(self, error: AtriumError, language: str, request_id: UUID) -> bytes:
        return error_body(error, language)

    def write_headers(self, headers: list[Header]) -> list[Header]:
        return headers


OPENAIS: Dialect = OpenAIsDialect()
