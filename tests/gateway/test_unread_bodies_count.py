"""Requests whose body makes no call count by limits of requests all the same, in a living house."""

import socket

import httpx
import pytest

from tests.gateway.limiting import AT_ONCE, RPM, ask, bound, eventually
from tests.gateway.living import HELLO
from tests.gateway.test_json_answers import of

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(180)]
LIMIT, LEFT = "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"
FIRST = 1_000  # lets through what is asked before the limit is heard of
UNREAD = {
    "no JSON": (400, {"content": b'{"model": '}),
    "no body": (400, {"content": b""}),
    "a wrong type": (400, {"json": {"model": "mock", "messages": "hello"}}),
    "no schema": (400, {"json": {"model": "mock", "messages": HELLO, "response_format": of({"enum": []})}}),
    "too large": (413, {"content": b" " * 10_000_001}),
    "too large, by pieces": (413, {"content": (b" " * 1_000_001 for _number in range(10))}),
    "compressed": (415, {"content": b"{}", "headers": {"content-encoding": "gzip"}}),
    "a form": (415, {"data": {"model": "mock"}}),
}


def post(place, **request) -> httpx.Response:
    headers = {"Authorization": f"Bearer {place.text}", **request.pop("headers", {})}
    url = f"{place.house.base_url}/chat/completions"
    return httpx.post(url, headers=headers, timeout=60, **request)


@pytest.fixture
def left(place):
    """How many requests an answer says are left; each look is one itself."""
    bound(place, "key", RPM, FIRST)
    eventually(lambda: ask(place).headers.get(LIMIT) == str(FIRST))
    return lambda: int(ask(place).headers[LEFT])


@pytest.mark.parametrize("what", UNREAD)
def test_a_body_that_cannot_be_taken_counts_once_and_so_does_a_good_one(place, left, what):
    status, request = UNREAD[what]
    before = left()
    answer = post(place, **request)
    assert (answer.status_code, int(answer.headers[LEFT])) == (status, before - 1), answer.text
    assert left() == before - 2


def test_a_body_that_is_left_in_the_middle_counts(place, left):
    before = left()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {place.text}\r\n"
    with socket.create_connection(("127.0.0.1", place.house.port)) as client:
        client.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
    looks = [left()]

    def is_counted() -> bool:
        looks.append(left())
        return looks[-1] == before - len(looks) - 1

    eventually(is_counted)


def test_beyond_the_limit_it_is_refused_as_any_request(place):
    bound(place, "key", RPM, 2)
    bound(place, "key", AT_ONCE, 1)  # binds calls only
    answers = [post(place, content=b"{") for _number in range(2)]

    def is_refused() -> bool:
        answers.append(post(place, content=b"{"))
        return answers[-1].status_code == 429

    eventually(is_refused)
    refused = answers[-1]
    assert {answer.status_code for answer in answers[:-1]} == {400}
    assert (refused.headers[LIMIT], refused.headers[LEFT]) == ("2", "0")
    assert refused.json()["error"]["message"].startswith("The limit of this API key is reached: 2 requests")
    assert 1 <= int(refused.headers["retry-after"]) <= 61
