"""A provider's no as ours: its reason, without its secrets and its addresses, and said to be the provider's.

Covers: the connection's key or a piece of it, what looks like a key, addresses of hosts. Does not cover: what
else a provider may tell of itself.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from foundation.errors import AtriumError, InvalidInput, QuotaExceeded, UpstreamError
from foundation.told import gettext as _
from gateway.calls import Call
from models_registry.providers.openai_compatible.errors import ProviderError
from models_registry.routes import Endpoint

CALLERS_FAULT = (400, 413, 422)
OVERLOADED = 529  # Anthropic
BUSY = (429, OVERLOADED)  # by the connection's limit, or for everybody
TRANSIENT = (408, 409, 425)  # too slow, in conflict, too early: the next moment may be better
MAX_REASON = 2_000
MAX_RETRY_AFTER_S = 3_600
USUAL_RETRY_AFTER_S = 5
SECRET = re.compile(r"\b(sk-|xai-\w{8}|AIza[\w-]|hf_\w|gsk_\w|AKIA[A-Z0-9]|gh[ps]_\w|xox[abp]-)|Bearer")
SECRET_RUN = 6  # so many characters of a secret in a row are too many to pass on
ADDRESS = re.compile(
    r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>)\]]+"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"
    r"|(?<![\w:])[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}"
    r"|(?<![\w:])(?:[0-9a-f]{1,4}:)*[0-9a-f]{0,4}::(?:[0-9a-f]{1,4}:?)*"
    r"|\b[\w-]+(?:\.[\w-]+)+:\d{1,5}\b"
    r"|\[[0-9a-f:.%]*::?[0-9a-f:.%]*\](?::\d+)?"
    r"|\b(?:localhost|[\w-]+(?:\.[\w-]+)*\.(?:internal|local|localdomain|lan|corp|svc|cluster|intranet))"
    r"(?:\.[\w-]+)*(?::\d+)?\b",
    re.IGNORECASE,
)
NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
HIDDEN = "[…]"
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]+")
NOT_OF_CODES = re.compile(r"[^A-Za-z0-9_.-]+")
NO_CREDIT = re.compile(
    r"insufficient_quota|exceeded(_| your )current[_ ]quota|credit balance|billing", re.IGNORECASE
)
# With a status that blames the request, by which a caller's own words may be repeated: no other place counts.
NO_CREDIT_CODE = re.compile(r"insufficient_quota|billing_hard_limit_reached|arrearage", re.IGNORECASE)
NO_CREDIT_WORDS = re.compile(
    r"your credit balance is too low|billing hard limit|your team \S{1,80} has (either )?used all",
    re.IGNORECASE,
)
# More than the connection may use in a minute or a day, with 413 (Groq) or as if it were busy (OpenAI, 429).
OVER_LIMIT = re.compile(r"request too large\b.*\b(tokens per (min|day)|TP[MD]\b)", re.IGNORECASE | re.DOTALL)
# More bytes than are taken, in the words of gateways in front of servers (AWS, Anthropic).
TOO_LARGE = re.compile(
    r"(request|payload|content|entity|body)[ _](is[ _])?too[ _]large|maximum allowed number of bytes",
    re.IGNORECASE,
)
# A request that does not fit, with the status of a server that is ill (llama.cpp). Narrow: what is said of a
# context may be about a server's own troubles.
EXCEEDS = re.compile(
    r"exceeds? the (available|maximum) context|context_length_exceeded|exceed_context_size"
    r"|context size has been exceeded",
    re.IGNORECASE,
)
# Where the connection calls from: OpenAI (403), Google (400).
NOT_SERVED = re.compile(
    r"unsupported_country_region_territory|country, region,? or territory not supported"
    r"|user location is not supported",
    re.IGNORECASE,
)
PLACE = re.compile(r"region|country|territory", re.IGNORECASE)
# What a provider refuses for what is in it, with the status of a wrong key.
OF_CONTENT = re.compile(r"moderat|flagged|content[ _]policy|safety", re.IGNORECASE)


class UpstreamBusy(QuotaExceeded):
    """The provider has a limit of its own."""

    code = "upstream_rate_limited"

    def __init__(self, asked_pause_s: int | None, *, is_overload: bool = False) -> None:
        super().__init__(
            _("The provider's limit is reached. Try again later, or choose another model."),
            retry_after_s=asked_pause_s or USUAL_RETRY_AFTER_S,
        )
        self.is_overload = is_overload


class OverLimit(UpstreamError):
    """The request alone needs more than the provider's limit: never to be asked again of the same endpoint.
    Clients do not ask again after this status either.
    """

    http_status = 413
    code = "upstream_limit_too_small"

    def __init__(self) -> None:
        super().__init__(
            _(
                "This request needs more tokens than the provider's limit for this connection allows. "
                "Shorten it, or choose another model."
            )
        )


class TooLarge(UpstreamError):
    """The request has more bytes than the server takes, or more likely a proxy in front of it (nginx: 1 MB).
    No client repeats this status.
    """

    http_status = 413
    code = "upstream_request_too_large"

    def __init__(self) -> None:
        super().__init__(
            _(
                "The request is larger than the model server, or a proxy in front of it, takes. Shorten it, "
                "or choose another model."
            )
        )


def refusal(status: int, error: ProviderError, headers: Mapping[str, str], endpoint: Endpoint) -> AtriumError:
    """An answer with a status of refusal. The provider's words are passed on only where it finds fault with
    the request.
    """
    if (found := fault_of_connection(status, error)) is not None:
        return found
    if status == 413 and (not error.message or TOO_LARGE.search(error.text)):
        return TooLarge()
    if status == 500 and EXCEEDS.search(error.text):
        return callers_fault(error, endpoint)
    of_content = status == 403 and not error.is_page and OF_CONTENT.search(error.text)
    if not error.is_bad_key and (of_content or status in CALLERS_FAULT):
        return callers_fault(error, endpoint)
    return _fault_of_server(status, error, headers)


def _fault_of_server(status: int, error: ProviderError, headers: Mapping[str, str]) -> AtriumError:
    """What the caller cannot mend: the connection's credentials and address, the server itself."""
    if status == 403 and error.is_page:
        return UpstreamError(
            _(
                "A firewall in front of the model server refuses the request. An administrator must look at "
                "the connection's address and at what the firewall lets through."
            ),
            code="upstream_refused",
        )
    if status in BUSY:
        return UpstreamBusy(read_retry_after(headers), is_overload=status == OVERLOADED)
    if status in (*CALLERS_FAULT, 401, 403):
        return UpstreamError(
            _(
                "The provider refuses this connection's credentials. An administrator must renew them under "
                "Connections."
            ),
            code="upstream_credentials",
        )
    if status == 404:
        return UpstreamError(
            _("The provider does not know this model or this address. An administrator must look at both."),
            code="upstream_not_found",
        )
    if status < 300:
        return UpstreamError(
            _("The model server took the request and sent no answer (status %(status)s).")
            % {"status": status},
            code="upstream_refused",
        )
    return UpstreamError(
        _("The model server answered with an error (status %(status)s). Try again, or choose another model.")
        % {"status": status},
        code="upstream_error" if status >= 500 or status in TRANSIENT else "upstream_refused",
        retry_after_s=read_retry_after(headers) if status in (503, *TRANSIENT) else None,
    )


def fault_of_connection(status: int, error: ProviderError) -> UpstreamError | None:
    """What no other request would change, though the status may blame this one."""
    if lacks_credit(status, error):
        return UpstreamError(
            _("The provider has no credit left for this connection. An administrator must see to that."),
            code="upstream_quota",
        )
    if is_over_limit(status, error):
        return OverLimit()
    if comes_from_elsewhere(status, error):
        return UpstreamError(
            _(
                "The provider does not serve the country or region that this connection calls from. An "
                "administrator must see to that."
            ),
            code="upstream_region",
        )
    return None


def lacks_credit(status: int, error: ProviderError) -> bool:
    """Whether the connection's account is empty, by whatever status that is said (Anthropic: 400)."""
    if status == 429:
        return NO_CREDIT.search(error.text) is not None
    if status not in (*CALLERS_FAULT, 403):
        return status == 402
    is_code = any(NO_CREDIT_CODE.fullmatch(word) for word in (error.code, error.kind))
    return is_code or NO_CREDIT_WORDS.match(error.message) is not None


def is_over_limit(status: int, error: ProviderError) -> bool:
    """Whether waiting changes nothing, for the request alone is more than a limit."""
    if status == 413 and error.code == "rate_limit_exceeded":
        return True
    return status in (413, 429) and OVER_LIMIT.match(error.message) is not None


def comes_from_elsewhere(status: int, error: ProviderError) -> bool:
    """Whether the provider serves other countries than the one that it is called from."""
    if status not in (400, 403, 451) or error.is_bad_key:
        return False
    if NOT_SERVED.match(error.code) or NOT_SERVED.match(error.message):
        return True
    return status != 400 and PLACE.search(error.text) is not None and not OF_CONTENT.search(error.text)


def callers_fault(error: ProviderError, endpoint: Endpoint) -> InvalidInput:
    """The provider finds the request invalid: its reason, if it holds no secret."""
    code, param, reason = NOT_OF_CODES.sub("", error.code)[:60], error.param, error.message
    if error.is_too_long:  # every server says it in its own way; clients know one
        code, param = "context_length_exceeded", param or "messages"
    if not reason or has_secret(f"{reason} {code} {param}", endpoint):
        message, param = _("The model server found the request invalid."), ""
        code = code if code == "context_length_exceeded" else ""
    else:
        message = _("The provider says: %(reason)s") % {"reason": hide_addresses(reason, endpoint)}
    if not code or code.isdigit():
        code = "upstream_invalid_request"
    return InvalidInput(message, code=code, param=param or None)


def fault_in_answer(error: ProviderError, endpoint: Endpoint, *, has_begun: bool) -> AtriumError:
    """An error that came with status 200, whole or as an event of a stream. Before the answer has begun it is
    what a refusal with the status is that it names; when to ask again stands in the headers, if anywhere
    (`note_pause`).
    """
    if error.is_too_long and not has_begun:
        return callers_fault(error, endpoint)
    if (400 <= error.status < 500 or error.status in BUSY) and not has_begun:
        return refusal(error.status, error, {}, endpoint)
    message: str
    if has_begun:
        message = _("The model server reported an error in the middle of its answer. What arrived is kept.")
    else:
        message = _("The model server reported an error. Try again, or choose another model.")
    if error.message and not error.is_bad_key and not has_secret(error.text, endpoint):
        reason = hide_addresses(error.message, endpoint)
        message += " " + _("The provider says: %(reason)s") % {"reason": reason}
    found = UpstreamError(message, code="upstream_error")
    found.is_overload = error.status == OVERLOADED
    return found


def note_advice(call: Call, headers: Mapping[str, str]) -> None:
    """Whether and when the server wants to be asked the same again, as the head of its answer says."""
    call.may_ask_again = headers.get("X-Should-Retry", "").strip().lower() != "false"
    call.asked_pause_s = read_pause_s(headers)


def note_pause(call: Call, error: AtriumError, headers: Mapping[str, str]) -> None:
    """The same, also for the client, where an error came with status 200 and its answer's headers say it."""
    note_advice(call, headers)
    asked_s = read_retry_after(headers)
    if asked_s is not None and (isinstance(error, UpstreamBusy) or error.code == "upstream_error"):
        error.retry_after_s = asked_s


def has_secret(text: str, endpoint: Endpoint) -> bool:
    """Whether a provider's words give away a secret: that of the connection, or a part of it, or what looks
    like one.
    """
    secret = endpoint.secret.reveal() if endpoint.secret else ""
    runs = (secret[place : place + SECRET_RUN] for place in range(len(secret) - SECRET_RUN + 1))
    return SECRET.search(text) is not None or any(run in text for run in runs)


def hide_addresses(text: str, endpoint: Endpoint) -> str:
    """The text without addresses of hosts: where a connection leads is its administrator's business."""
    text = ADDRESS.sub(HIDDEN, CONTROLS.sub(" ", text[:MAX_REASON]))
    host = endpoint.base_url.partition("://")[2].partition("/")[0]
    for name in (host, host.rpartition(":")[0]):
        if len(name) > 3:
            text = text.replace(name, HIDDEN)
    return text


def read_retry_after(headers: Mapping[str, str]) -> int | None:
    """Whole seconds to wait, at least one, as clients are told; None where nobody says."""
    pause_s = read_pause_s(headers)
    return None if pause_s is None else max(math.ceil(pause_s), 1)


def read_pause_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait (RFC 9110, section 10.2.3, and OpenAI's milliseconds); None where nobody says."""
    milliseconds = headers.get("Retry-After-Ms", "").strip()
    if NUMBER.fullmatch(milliseconds):
        return min(float(milliseconds) / 1_000, MAX_RETRY_AFTER_S)
    text = headers.get("Retry-After", "").strip()
    if NUMBER.fullmatch(text):
        return _bounded(math.ceil(float(text)))
    try:
        wait_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return _bounded(int(wait_s))


def _bounded(seconds: int) -> int:
    return min(max(seconds, 1), MAX_RETRY_AFTER_S)
