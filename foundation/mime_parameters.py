"""Parameters of MIME headers that come in pieces (RFC 2231), where CPython's reader stumbles.

Guards against: `filename*0=a; filename*=b`, for which it raises a TypeError; Django passes over a header of a
form that is a ValueError, and answers 500 to anything else.
"""

import email.utils
import re
from typing import Any

from django.utils.http import parse_header_parameters

_IN_PIECES = re.compile(r"\*\s*\d*\s*\*?\s*=")
_decode: Any = email.utils.decode_params


def _decode_or_refuse(params: Any) -> Any:
    try:
        return _decode(params)
    except TypeError as exc:
        raise ValueError("A parameter comes whole and in pieces.") from exc


def refuse_doubtful_parameters() -> None:
    """For the whole process, once."""
    email.utils.decode_params = _decode_or_refuse


def can_be_read(value: str) -> bool:
    """Whether Django and DRF, which take it apart at commas, can read a header's value."""
    if _IN_PIECES.search(value) is None:
        return True
    try:
        for part in (value, *value.split(",")):
            parse_header_parameters(part)
    except ValueError:
        return False
    return True
