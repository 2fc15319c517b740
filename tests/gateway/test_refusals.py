"""A provider's no: its reason is found in any shape, and gives away neither keys nor addresses."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest

from foundation.errors import InvalidInput, QuotaExceeded, UpstreamError
from gateway.answers.refusals import MAX_RETRY_AFTER_S, hide_addresses, read_retry_after, refusal
from models_registry.providers.openai_compatible.errors import read_error
from tenants.sealing import Secret
from tests.gateway.calling import make_endpoint

ENDPOINT = make_endpoint("https://gpu-7.example.org:8443/v1", secret=Secret("gsk_9f8a7b6c5d4e"))

SHAPES = [
    {"error": {"message": "REASON", "type": "invalid_request_error"}},
    {"error": "REASON"},
    {"object": "error", "message": "REASON", "type": "BadRequestError", "code": 400},
    {"detail": "REASON"},
    {"detail": [{"loc": ["body", "messages"], "msg": "REASON", "type": "value_error"}]},
    {"message": "REASON"},
    {"errors": [{"message": "REASON"}]},
    {"error": {"message": orjson.dumps({"error": {"message": "REASON"}}).decode()}},
    {"error": {"code": 400, "metadata": {}, "message": "REASON"}},
    [{"error": {"code": 400, "message": "REASON", "status": "INVALID_ARGUMENT"}}],
    {"error": {"message": {"message": "REASON"}}},
    {"code": "invalid", "msg": "REASON"},
    "REASON",
]


def refused(status: int, body, headers=None):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return refusal(status, read_error(raw), headers or {}, ENDPOINT)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("status", [400, 413, 422])
def test_the_reason_is_found_in_any_shape(shape, status):
    raw = orjson.dumps(shape).replace(b"REASON", b"temperature is odd")
    found = refused(status, raw)
    assert isinstance(found, InvalidInput) and "temperature is odd" in str(found.message)
    assert str(found.message).startswith("The provider says"), "who refuses is told"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "reason",
    [
        "This model's maximum context length is 10 tokens",
        "prompt is too long: 200001 tokens > 200000 maximum",
        "the request exceeds the available context size",
        "Range of input length should be [1, 6000]",
        "Input length 600 exceeds the maximum sequence length",
        "Please reduce the length of the messages.",
    ],
)
def test_too_long_a_prompt_is_known_in_any_words(shape, reason):
    raw = orjson.dumps(shape).replace(b"REASON", reason.encode())
    assert refused(400, raw).code == "context_length_exceeded"


@pytest.mark.parametrize(
    "body", [b"", b"<html><h1>Bad Request</h1></html>", b"\xff\xfe", b"[]", b"{}", b"null", b"7"]
)
def test_a_body_that_says_nothing_is_said_to_say_nothing(body):
    found = refused(400, body)
    assert isinstance(found, InvalidInput) and found.code == "upstream_invalid_request"
    assert "html" not in str(found.message)


def test_a_plain_text_is_the_reason():
    assert "temperature is odd" in str(refused(400, b"temperature is odd").message)


def test_an_error_nested_without_end_is_read_in_bounds():
    body: object = "x"
    for _level in range(200):
        body = {"error": body}
    assert refused(400, body).code == "upstream_invalid_request"


@pytest.mark.parametrize(
    "address",
    [
        "http://10.1.2.3:8000/v1/chat",
        "https://gpu-7.example.org:8443/v1",
        "gpu-7.example.org:8443",
        "gpu-7.example.org",
        "192.168.0.7",
        "192.168.0.7:11434",
        "[fe80::1]:80",
        "vllm-0.models.svc.cluster.local",
        "localhost:1234",
        "redis://cache.internal:6379/0",
        "gpu-9.eu.vendor.net:8443",
        "fd00::12:34",
        "2001:db8::1",
        "2001:db8:0:0:0:0:0:1",
    ],
)
def test_addresses_are_hidden(address):
    text = hide_addresses(f"cannot reach {address}, try later", ENDPOINT)
    assert address not in text and text.startswith("cannot reach ") and "try later" in text
    assert "gpu-7" not in text and not any(
        part in text for part in ("10.1.2", "192.168", "fe80", "svc", "vendor", "fd00", "2001")
    )


@pytest.mark.parametrize(
    "text",
    ["temperature must be between 0.0 and 2.0", "gpt-4.1 has no tools", "12:30 is no time", "std::vector"],
)
def test_what_is_no_address_stays(text):
    assert hide_addresses(text, ENDPOINT) == text


@pytest.mark.parametrize(
    "reason",
    [
        "Incorrect API key provided: gsk_9f8a",
        "key b6c5d4 is wrong",
        "Bearer xyz",
        "sk-proj-1 is bad",
        "AIzaSyA is no key",
        "hf_abc",
        "AKIAIOSFODNN7",
    ],
)
def test_a_reason_with_a_secret_is_not_passed_on(reason):
    found = refused(400, {"error": {"message": reason}})
    assert reason not in str(found.message)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, UpstreamError, "upstream_credentials"),
        (403, UpstreamError, "upstream_credentials"),
        (404, UpstreamError, "upstream_not_found"),
        (402, UpstreamError, "upstream_quota"),
        (405, UpstreamError, "upstream_refused"),
        (429, QuotaExceeded, "upstream_rate_limited"),
        (500, UpstreamError, "upstream_error"),
        (529, QuotaExceeded, "upstream_rate_limited"),
    ],
)
def test_what_is_no_fault_of_the_caller_keeps_its_words_to_itself(status, kind, code):
    found = refused(status, {"error": {"message": "secret plans"}})
    assert type(found).__mro__[0] is kind or isinstance(found, kind)
    assert found.code == code and "secret plans" not in str(found.message)
    assert found.http_status == (429 if status in (429, 529) else 502), "an upstream's 401 is our 502"


def test_an_empty_account_is_no_rate_limit():
    """It would be asked again, and the caller told to wait."""
    body = {"error": {"message": "You exceeded your current quota.", "code": "insufficient_quota"}}
    assert refused(429, body).code == "upstream_quota" and refused(429, {}).code == "upstream_rate_limited"


EMPTY = [
    {
        "type": "invalid_request_error",
        "message": "Your credit balance is too low to access the Anthropic API.",
    },
    {"code": "Arrearage", "message": "Access denied, please make sure your account is in good standing."},
    {"code": "billing_hard_limit_reached", "message": "Billing hard limit has been reached"},
    {"code": "insufficient_quota", "message": "no more"},
]


@pytest.mark.parametrize("error", EMPTY)
@pytest.mark.parametrize("status", [400, 403])
def test_an_empty_account_is_no_fault_of_the_caller_by_whatever_status(status, error):
    found = refused(status, {"error": error})
    assert (found.code, found.http_status) == ("upstream_quota", 502)


def test_a_callers_own_words_empty_no_account():
    """Providers repeat them: the caller would hear nothing of the fault, and others be asked for the same."""
    reason = "messages.0.name: “your credit balance is too low”, insufficient_quota"
    assert refused(400, {"error": {"message": reason}}).code == "upstream_invalid_request"


OVER = (
    "Request too large for model `llama-3.1-8b-instant` in organization `org_1` service tier `on_demand` on "
    "tokens per minute (TPM): Limit 6000, Requested 9000, please reduce your message size and try again."
)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (413, OVER),
        (413, "too much"),
        (429, OVER),
        (429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 46393."),
    ],
)
def test_what_is_more_than_a_limit_can_ever_let_through_is_no_matter_of_waiting(status, message):
    found = refused(status, {"error": {"message": message, "code": "rate_limit_exceeded"}})
    assert isinstance(found, UpstreamError) and found.retry_after_s is None
    assert (found.code, found.http_status) == ("upstream_limit_too_small", 413), "no status that is repeated"


def test_a_limit_that_is_used_up_is_waited_for():
    used = (
        "Rate limit reached for model `m` on tokens per minute (TPM): Limit 6000, Used 5900, Requested 900."
    )
    found = refused(429, {"error": {"message": used, "code": "rate_limit_exceeded"}})
    assert found.code == "upstream_rate_limited"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, {"code": "unsupported_country_region_territory", "message": "no"}),
        (403, {"message": "Country, region, or territory not supported"}),
        (403, {"message": "This model is not available in your region."}),
        (400, {"message": "User location is not supported for the API use."}),
    ],
)
def test_where_a_connection_calls_from_is_no_fault_of_the_caller(status, error):
    found = refused(status, {"error": error})
    assert (found.code, found.http_status) == ("upstream_region", 502)


def test_a_request_about_countries_is_one_like_any_other():
    body = {"error": {"message": "messages[0]: “country, region, or territory not supported” is odd"}}
    assert refused(400, body).code == "upstream_invalid_request"


def test_a_refusal_of_the_content_is_no_wrong_key():
    found = refused(403, {"error": {"message": "Your input was flagged by moderation.", "code": 403}})
    assert isinstance(found, InvalidInput) and "flagged" in str(found.message)


def test_a_reason_is_text_and_a_code_a_word():
    found = refused(400, {"error": {"message": "no\0\x1b[31m\rway", "code": "<img src=x onerror=1>"}})
    assert not set("\0\x1b\r") & set(str(found.message)) and found.code == "imgsrcxonerror1"


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"Retry-After": "7"}, 7, 7),
        ({"Retry-After": "0"}, 1, 1),
        ({"Retry-After": "1.5"}, 2, 2),
        ({"Retry-After-Ms": "1200.5"}, 2, 2),
        ({"Retry-After": "999999999"}, MAX_RETRY_AFTER_S, MAX_RETRY_AFTER_S),
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, 2, 2),
        ({"Retry-After": in_seconds(2_000)}, 1_000, 2_000),
        ({"Retry-After": in_seconds(-30)}, 1, 1),
    ],
)
def test_when_to_ask_again_is_read_in_every_form(headers, low, high):
    assert low <= (read_retry_after(headers) or 0) <= high


@pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "١٢", "9" * 40, "Wed, 99 Oct 2099"])
def test_nonsense_says_nothing(text):
    assert read_retry_after({"Retry-After": text}) is None


@pytest.mark.parametrize(
    "body",
    [
        b"<html><h1>413 Request Entity Too Large</h1></html>",
        b"",
        {},
        {"message": "Request Entity Too Large"},
        {
            "error": {
                "type": "request_too_large",
                "message": "Request exceeds the maximum allowed number of bytes",
            }
        },
        {"error": "Payload too large"},
    ],
)
def test_a_page_of_a_proxy_that_takes_no_such_size_is_told_as_that(body):
    """nginx takes 1 MB unless it is told otherwise; nobody finds fault with what the request says."""
    found = refused(413, body)
    assert isinstance(found, UpstreamError) and found.code == "upstream_request_too_large"
    assert found.http_status == 413 and "larger" in str(found.message)


@pytest.mark.parametrize("begin", [b"<!DOCTYPE html>", b"\n<html>"])
def test_a_firewalls_page_is_no_wrong_key(begin):
    found = refused(403, begin + b"<title>Attention Required! | Cloudflare</title></html>")
    assert isinstance(found, UpstreamError) and (found.code, found.http_status) == ("upstream_refused", 502)
    assert "firewall" in str(found.message) and "credentials" not in str(found.message)
    assert refused(403, {"error": {"message": "no"}}).code == "upstream_credentials"


OVERFLOWS = [  # of llama.cpp, by its version
    "the request exceeds the available context size. try increasing the context size",
    "Context size has been exceeded.",
]


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("message", OVERFLOWS)
def test_what_is_too_long_is_known_by_the_status_of_an_ill_server_too(message, status):
    """Other stand-ins than those with more room would be asked in vain."""
    found = refused(status, {"error": {"code": status, "message": message, "type": "server_error"}})
    assert isinstance(found, InvalidInput)
    assert (found.code, found.param) == ("context_length_exceeded", "messages")


@pytest.mark.parametrize("message", ["could not allocate for the context size", "context length: CUDA error"])
def test_an_ill_server_that_speaks_of_its_context_is_ill(message):
    assert refused(500, {"error": {"message": message}}).code == "upstream_error"
