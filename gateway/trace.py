"""W3C Trace Context (https://www.w3.org/TR/trace-context/): a caller's trace goes on at the provider.

Covers: a `traceparent` that is well-formed is passed on with a span of ours as the parent, given back to the
caller with the same span, and noted in the bill. One that is not is left out, as the standard wants.
Does not cover: `tracestate`, which tells the provider what the caller's other systems say of themselves;
traces that begin here.
"""

import re
import secrets
from dataclasses import dataclass

# of a later version only these first fields are known
FORM = re.compile(
    rb"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?!0{16})[0-9a-f]{16}"
    rb"-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)
KNOWN_FLAGS = 0x03  # sampled, random


@dataclass(frozen=True, slots=True)
class Trace:
    trace_id: str  # 32 hexadecimal digits
    span_id: str  # 16 of them: this call
    flags: int

    @property
    def header(self) -> str:
        """The `traceparent` of whatever this call causes."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def continue_trace(traceparent: bytes) -> Trace | None:
    """A span of our own in the caller's trace; None where the header is absent or not well-formed."""
    found = FORM.fullmatch(traceparent)
    if found is None or (found["version"] == b"00" and found["rest"] is not None):
        return None
    flags = int(found["flags"], 16) & KNOWN_FLAGS
    return Trace(found["trace"].decode(), secrets.token_hex(8), flags)


def trace_headers(trace: Trace | None) -> dict[str, str]:
    """What a request to a provider carries of it."""
    return {"traceparent": trace.header} if trace else {}
