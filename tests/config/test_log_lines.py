"""Strangers write no log lines."""

import logging
import sys

import pytest
from django.conf import settings

from config.logging import ContextFilter
from foundation.log_lines import LineFormatter

FORGED = "2026-01-01 00:00:00,000 ERROR tenants.admin forged"
HOSTILE = ["\n", "\r", "\r\n", "\x1b[31m", "\x85", "\u2028", "\u2029", "\x07", "\x9b31m", "\u202e", "\0"]


def written(text: str, **options) -> str:
    given = {**settings.LOGGING["formatters"]["line"]}
    assert given.pop("()") == "foundation.log_lines.LineFormatter", "the house's handlers use another one"
    record = logging.LogRecord(
        "a.name", logging.WARNING, __file__, 1, "a path: %s", (text,), options.get("exc_info")
    )
    ContextFilter().filter(record)
    return LineFormatter(given["format"]).format(record)


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_a_record_is_one_line_without_control_characters(hostile):
    line = written(f"/x{hostile}{FORGED}")
    assert len(line.splitlines()) == 1 and line.isprintable()
    assert FORGED in line, "what was sent stays readable"


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_no_line_of_a_traceback_passes_for_a_record(hostile):
    try:
        raise ValueError(f"bad{hostile}{FORGED}")
    except ValueError:
        first, *rest = written("x", exc_info=sys.exc_info()).split("\n")
    assert first.endswith("a path: x") and len(rest) >= 4
    assert all(line.startswith("    ") and line.replace("\t", "").isprintable() for line in rest)


def test_texts_of_all_languages_are_written_as_they_are():
    assert written("Größe 模型 – “x”").endswith("a path: Größe 模型 – “x”")
