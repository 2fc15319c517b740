"""Identifiers: time-ordered UUIDs (RFC 9562, version 7), so that new rows land at the end of an index."""

import os
import time
from uuid import UUID

REQUEST = "req_"  # before the id of a request, as OpenAI's


def uuid7() -> UUID:
    """A version 7 UUID: 48 bits of Unix milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def show_request_id(request_id: UUID) -> str:
    """As clients read it in the header `x-request-id`."""
    return f"{REQUEST}{request_id.hex}"


def read_request_id(text: str) -> UUID:
    """The way back; without `req_` too. Raises ValueError."""
    return UUID(text.removeprefix(REQUEST))
