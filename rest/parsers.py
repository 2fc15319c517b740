"""JSON as the API takes it: bounded while it is read, and no deeper than Python reads safely."""

import codecs
import json
import math
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from foundation.errors import BodyTooLarge, UnsupportedBody
from foundation.json_bounds import check_value_count

MAX_BYTES = 1_000_000


class BoundedJSONParser(BaseParser):
    """Raises BodyTooLarge, UnsupportedBody, ParseError. NaN and infinities are no JSON."""

    media_type = "application/json"

    def parse(self, stream, media_type: str | None = None, parser_context: dict | None = None) -> Any:
        request = (parser_context or {}).get("request")
        if request is not None and request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedBody(_("The body is compressed. Send it as it is, without “Content-Encoding”."))
        encoding = (parser_context or {}).get("encoding", settings.DEFAULT_CHARSET)
        data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise BodyTooLarge(_("The body may have at most %(limit)d kB.") % {"limit": MAX_BYTES // 1000})
        check_value_count(data)
        try:
            value = json.loads(
                codecs.decode(data, encoding), parse_constant=_refuse_constant, parse_float=_read_float
            )
            if b"\\ud" in data.lower():  # halves of characters can be neither kept nor repeated
                json.dumps(value, ensure_ascii=False).encode()
            return value
        except (ValueError, LookupError) as exc:
            raise ParseError(_("The body is no valid JSON."), code="invalid_json") from exc
        except RecursionError as exc:
            raise ParseError(_("The JSON of the body is nested too deeply."), code="invalid_json") from exc


def _read_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(text)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
