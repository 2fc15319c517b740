"""An answer in one piece where a stream was asked for; what all whole answers have in common."""

from typing import Any

from foundation.errors import UpstreamError
from foundation.json_bounds import has_more_values
from foundation.told import gettext as _
from gateway.answers.empty import as_failure
from gateway.answers.estimate import count_text_bytes
from gateway.answers.events import mend_answer
from gateway.answers.json_text import load_json
from gateway.answers.refusals import fault_in_answer
from gateway.calls import Call
from models_registry.providers.openai_compatible.errors import find_choice_error, find_error
from models_registry.providers.openai_compatible.usage import counts_nothing

INVALID = "upstream_invalid_response"
MAX_VALUES = 250_000  # more than the longest answer has without log probabilities
NOTHING = b" \t\r\n\0\xef\xbb\xbf"  # white space, signs of life, the mark of UTF-8


class WholeAnswer:
    """Collects the bytes of an answer that comes in one piece where a stream was asked for."""

    def __init__(self, max_bytes: int) -> None:
        self.parts: list[bytes] = []
        self._bytes_left = max_bytes

    def take(self, chunk: bytes, before: bytes) -> bool:
        """Whether the chunk belongs to such an answer, whatever its content type says: it begins with JSON,
        a stream with the name of a field. `before` came unread ahead of it. Raises UpstreamError for one
        that is too long.
        """
        if not self.parts:
            chunk = (before + chunk).lstrip(NOTHING)
            if not chunk.startswith((b"{", b"[")):
                return False
        self.parts.append(chunk)
        self._bytes_left -= len(chunk)
        if self._bytes_left < 0:
            raise nonsense()
        return True

    def text(self) -> bytes:
        return b"".join(self.parts)


def nonsense() -> UpstreamError:
    return UpstreamError(
        _("The model server's answer makes no sense. Try again, or choose another model."),
        code=INVALID,
    )


def is_page(begin: bytes) -> bool:
    """Whether what comes is a page for browsers, whatever its content type says: no model wrote that."""
    return begin.lstrip(NOTHING).startswith(b"<")


def page(call: Call) -> UpstreamError:
    """What a page is told as. Nothing was generated, so nothing is charged."""
    call.was_refused = True
    return UpstreamError(
        _(
            "The model server sent a web page instead of an answer. An administrator must look at the "
            "connection's address."
        ),
        code=INVALID,
    )


def load_answer(call: Call, raw: bytes, max_values: int) -> dict[str, Any]:
    """A whole answer in OpenAI's shape, its usage noted in the call. Raises UpstreamError, InvalidInput for
    an error that comes in its place.
    """
    if has_more_values(raw, max_values):
        raise nonsense()
    try:
        answer = mend_answer(as_openais(call, load_json(raw)))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as exc:
        raise nonsense() from exc
    if not isinstance(answer, dict):
        raise nonsense()
    usage = call.candidate.provider.read_usage(answer)
    call.note_usage(usage)  # also where the rest makes no sense
    call.has_report_of_nothing = usage is None and counts_nothing(answer)
    has_answer = answer.get("choices") or answer.get("data") or answer.get("results")
    error = find_choice_error(answer) if has_answer else find_error(answer)
    if error is not None:
        has_text = count_text_bytes(answer.get("choices"), len(raw)) > 0
        call.was_refused = usage is None and not has_text
        fault = fault_in_answer(error, call.candidate.endpoint, has_begun=False)
        if has_text:
            raise fault
        call.output_tokens_seen = 0  # the bytes counted while they came hold no text
        raise as_failure(call, fault)
    return answer


def as_openais(call: Call, event: Any) -> Any:
    """An event or answer in OpenAI's shape, where its provider has one of its own."""
    provider = call.candidate.provider
    return provider.read_event(event) if provider.has_own_events and isinstance(event, dict) else event
