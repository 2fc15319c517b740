"""What a RAGFlow server answers when something is wrong, sorted by what can be done about it.

Its own codes (version 0.22.1): 0 well, 100 exception, 101 argument, 102 data, 108 permission, 109 and 401
authentication, 404, 500 server. A header that it cannot read is told with code 0 and `data` false.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from foundation.errors import AtriumError, UpstreamError
from foundation.texts import as_kept
from foundation.told import gettext as _

MOST_WORDS = 300  # characters of the server's own that are shown
KEY, DATA, ARGUMENT, MISSING = "ragflow_key", "ragflow_data", "ragflow_argument", "ragflow_missing"
DOWN, FAILED, SHAPE = "ragflow_down", "ragflow_failed", "ragflow_answer"
CODES = {101: ARGUMENT, 102: DATA, 108: MISSING, 109: KEY, 401: KEY, 403: KEY, 404: MISSING}
AWAY = (DOWN, FAILED, SHAPE, KEY)  # the server as a whole, and not one thing there


class RagflowError(UpstreamError):
    """`code` is one of those above. `is_away`: nothing else would be answered now, either."""

    code = FAILED

    @property
    def is_away(self) -> bool:
        return self.code in AWAY


def read_envelope(status: int, body: Any) -> dict[str, Any]:
    """The body, where it says that all went well. Raises RagflowError."""
    if not isinstance(body, dict) or type(body.get("code")) is not int:
        raise _of_status(status) if status >= 400 else RagflowError(_WORDS[SHAPE](), code=SHAPE)
    number = body["code"]
    if number == 0 and body.get("data") is not False:
        return body
    code = KEY if number == 0 else CODES.get(number, FAILED)
    said = say(body.get("message"))
    message = _WORDS[code]()
    raise RagflowError(message + " " + said if said and code != KEY else message, code=code)


def _of_status(status: int) -> RagflowError:
    code = KEY if status in (401, 403) else MISSING if status == 404 else DOWN
    return RagflowError(_WORDS[code](), code=code)


def say(words: Any) -> str:
    """The server's own words, as far as a person should read them."""
    return as_kept(" ".join(words.split()))[:MOST_WORDS] if isinstance(words, str) else ""


@contextmanager
def clear_errors() -> Iterator[None]:
    """What the network, our way out and answers of another shape raise, as RagflowError."""
    try:
        yield
    except RagflowError:
        raise
    except AtriumError as exc:
        raise RagflowError(exc.message, code=SHAPE if exc.code == "answer_too_long" else DOWN) from exc
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise RagflowError(_WORDS[DOWN](), code=DOWN) from exc
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as exc:
        raise RagflowError(_WORDS[SHAPE](), code=SHAPE) from exc


_WORDS: dict[str, Callable[[], str]] = {
    KEY: lambda: _("RAGFlow refuses the API key. Make a new one in RAGFlow and enter it."),
    DATA: lambda: _("RAGFlow refuses this."),
    ARGUMENT: lambda: _("RAGFlow does not understand the request; its version may be another one."),
    MISSING: lambda: _("RAGFlow has nothing of this name, or it belongs to another account."),
    DOWN: lambda: _("RAGFlow cannot be reached, or does not answer properly."),
    FAILED: lambda: _("RAGFlow failed."),
    SHAPE: lambda: _("What answers there does not answer as RAGFlow does."),
}
