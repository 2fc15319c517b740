"""A second net under the rule that logs hold no secrets: what looks like a key is masked before a line is
written.

Covers: message, arguments, traceback and stack of a record. Does not cover: secrets without a known form.
"""

import logging
import re

from tenants.sealing.secret import MASK

_SECRETS = re.compile(
    r"""
    (?P<key>\batr_[a-z][a-z0-9-]{1,30}_[A-Za-z0-9]{8}_)[\w-]{16,}        # our API keys: the id stays readable
    | (?P<provider>\b(?:sk-|gsk_|hf_|xai-|pplx-|nvapi-|AIza))[\w-]{8,}
        # OpenAI, Anthropic, DashScope; Groq, Hugging Face, xAI, Perplexity, NVIDIA, Google
    | (?P<scheme>\bbearer\s+)(?!••••)[\w.~+/=-]{8,}            # an Authorization header
    | (?P<header>\b(?:x-api-key|api[_-]?key|authorization)["']?\s*[:=]\s*["']?)(?!bearer|••••)[^\s"',;}]{8,}
    | (?P<address>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s:/@]+(?=@)        # a password in a database's address
    """,
    re.IGNORECASE | re.VERBOSE,
)


def mask_secrets(text: str) -> str:
    """The text with everything that looks like a key replaced by a mask."""
    return _SECRETS.sub(lambda match: (match[match.lastgroup] if match.lastgroup else "") + MASK, text)


class SecretFilter(logging.Filter):
    """Put it on every handler; it lets all records pass, masked."""

    _formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        masked = mask_secrets(text)
        if masked != text:
            record.msg = masked
            record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = mask_secrets(record.exc_text)
        if record.stack_info:
            record.stack_info = mask_secrets(record.stack_info)
        return True
