"""A log record stays one line, whatever is logged. Imports no Django: the runtime's processes use it too.

Guards against: whoever writes to us writing lines of their own (line ends) or to the operator's terminal
(control characters) through anything that is logged, tracebacks included. Does not guard against: programs
that log before they set this up.
"""

import logging
import re

# Control characters (C0, DEL, C1), Unicode's line ends, and what turns the direction of writing
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROLS_IN_TRACEBACKS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


class LineFormatter(logging.Formatter):
    """One record, one line; a traceback follows it, indented, so that no line of it can pass for a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _CONTROLS.sub(_escape, super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        head, *rest = super().format(record).split("\n")
        return "\n".join([head, *(f"    {_CONTROLS_IN_TRACEBACKS.sub(_escape, line)}" for line in rest)])


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
