"""The living house, overrun: whoever is not served is told when to come again, health checks are answered,
nothing is a 500.

Covers: many pages at once with the pool of production; a database that has fewer connections than there
are requests; bodies on real sockets.
Does not cover: PostgreSQL killed under load (S32).
"""

import asyncio
import contextlib
import socket
import time
from collections import Counter

import httpx
import pytest
from django.conf import settings

from tenants.context import tenant
from tests.live import TENANTS, house_with_bug
from tests.prompts.chats import make_conversation, make_process, make_unfinished
from tests.prompts.visitor import make_person, start_session

pytestmark = [pytest.mark.scope(TENANTS[0]), pytest.mark.timeout(240), pytest.mark.slow]
HOST = f"{TENANTS[0]}.localhost"
POOL = """
from django.conf import settings
settings.DATABASES["default"]["OPTIONS"]["pool"] = settings.DATABASE_POOL | {pool}
"""
WITHOUT_GATE = (
    "from config import gate; gate.Gate.enter_at_once = lambda self, host: True; gate.Gate.leave = lambda "
    "self, host: None"
)
# once the folder `take` is there, it takes every connection of the pool, and says how many there were
TAKES_ALL = """
import threading, time
from pathlib import Path
def take_all(folder=Path({folder!r})):
    from django.db import connection
    while not (folder / "take").exists():
        time.sleep(0.02)
    pool, held = connection.pool, []
    try:
        while True:
            held.append(pool.getconn(timeout=1))
    except Exception:
        (folder / "found").write_text(str(len(held)))
    time.sleep({patience_s})
threading.Thread(target=take_all, daemon=True).start()
"""
PATIENCE_S = 90


def ask(port: int, paths: list[str], headers: dict[str, str]) -> list[httpx.Response]:
    """All at once, each on a connection of its own."""

    async def main():
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Host": HOST} | headers,
            timeout=PATIENCE_S,
            limits=limits,
        ) as client:
            return await asyncio.gather(*(client.get(path) for path in paths))

    return asyncio.run(main())


@pytest.fixture(scope="module")
def cookie(house) -> dict[str, str]:
    session = start_session(TENANTS[0], make_person(TENANTS[0]))
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session['cookie']}"}


@pytest.fixture(scope="module")
def pooled(house):
    """The house with the pool that it has outside of tests."""
    with house_with_bug(house, POOL.format(pool={})) as house:
        yield house


def assert_served_or_told(answers: list[httpx.Response]) -> Counter:
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) <= {200, 503}, counts
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 503)
    return counts


def test_of_many_pages_at_once_none_fails(pooled, cookie):
    answers = ask(pooled.port, ["/"] * 200 + ["/healthz/ready"] * 10 + ["/static/css/app.css"] * 10, cookie)
    assert {answer.status_code for answer in answers[200:]} == {200}, "health and static files"
    counts = assert_served_or_told(answers[:200])
    assert counts[200] >= 14 and not any("upgraded" in answer.text for answer in answers[:200])


def test_afterwards_everything_is_as_before(pooled, cookie):
    assert {answer.status_code for answer in ask(pooled.port, ["/"] * 5, cookie)} == {200}


def test_open_event_streams_are_in_nobodys_way(pooled):
    """More of them than one host has places, all open at the same time."""
    user, headers, streams = make_person(TENANTS[0]), {"Host": HOST}, 20
    session = {settings.SESSION_COOKIE_NAME: start_session(TENANTS[0], user)["cookie"]}
    with tenant(TENANTS[0]):
        path = f"/m/{make_unfinished(make_conversation(user), make_process(), text='').pk}/events/"

    async def main() -> list[int]:
        async with contextlib.AsyncExitStack() as stack:
            client = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{pooled.port}",
                headers=headers,
                cookies=session,
                timeout=PATIENCE_S,
            )
            await stack.enter_async_context(client)
            opened = [await stack.enter_async_context(client.stream("GET", path)) for _ in range(streams)]
            return [answer.status_code for answer in [*opened, await client.get("/")]]

    assert asyncio.run(main()) == [200] * (streams + 1)


def test_a_database_that_gives_no_connection_is_an_outage_and_no_fault(house, cookie):
    """Wherever it shows: when the session is read, in a page, in the API, or in an async view."""
    key = {"Authorization": f"Bearer {house.keys[TENANTS[0]]}"}
    bug = POOL.format(pool={"min_size": 1, "max_size": 1, "timeout": 0.05}) + WITHOUT_GATE
    with house_with_bug(house, bug) as starved:
        pages = ask(starved.port, ["/", "/usage/"] * 20, cookie)
        events = ask(starved.port, ["/m/00000000-0000-0000-0000-000000000000/events/"] * 20, cookie)
        api = ask(starved.port, ["/api/v1/me/", "/api/v1/conversations/"] * 20, key)
    for answers, expected in ((pages, 200), (api, 200), (events, 404)):
        counts = Counter(answer.status_code for answer in answers)
        assert set(counts) <= {expected, 503} and counts[503], counts
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.headers["retry-after"] for answer in refused} == {"5"} and all(
            "x-request-id" in answer.headers for answer in refused
        )
    assert {answer.json()["code"] for answer in api if answer.status_code == 503} == {"unavailable"}
    assert all(
        "database" in answer.text and "upgraded" not in answer.text
        for answer in pages
        if answer.status_code == 503
    )


def test_every_connection_comes_back_and_a_stream_needs_none(house, cookie, tmp_path):
    """Whoever hangs up: in a page, in an event stream that is read or not, in an answer of `/v1`. Then all
    connections are taken while an answer is on its way: it asks after its caller's rights, ends, and is
    billed.
    """
    pool = POOL.format(pool={"timeout": 1})
    events = "/m/00000000-0000-0000-0000-000000000000/events/"
    body = {"model": "mock-tokens-60-50", "messages": [{"role": "user", "content": "x"}], "stream": True}
    key = {"Authorization": f"Bearer {house.keys[TENANTS[0]]}"}
    taker = TAKES_ALL.format(folder=str(tmp_path), patience_s=PATIENCE_S)
    with house_with_bug(house, pool + taker) as running:
        for path in ["/", "/usage/", events, "/healthz/ready"] * 10:
            with socket.create_connection(("127.0.0.1", running.port)) as visit:
                visit.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{_lines(cookie)}\r\n".encode())
        client = running.stack.enter_context(
            httpx.Client(base_url=running.base_url, headers=key, timeout=PATIENCE_S)
        )
        for _visit in range(5):
            with client.stream("POST", "/chat/completions", json=body) as answer:
                assert next(answer.iter_lines())
        with client.stream("POST", "/chat/completions", json=body) as answer:
            lines = answer.iter_lines()
            assert next(lines).startswith("data: ")
            (tmp_path / "take").touch()
            told = [line for line in lines if line]
        assert told[-1] == "data: [DONE]" and len(told) > 60
        end = time.monotonic() + PATIENCE_S
        while not (tmp_path / "found").exists() and time.monotonic() < end:
            time.sleep(0.05)
        assert (tmp_path / "found").read_text() == str(settings.DATABASE_POOL["max_size"])
        assert {answer.status_code for answer in ask(running.port, ["/"], cookie)} == {503}, "none is left"


def _lines(headers: dict[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


# -- bodies on real sockets ----------------------------------------------------------------------------------


def send_chunks(port: int, path: str, size: int) -> tuple[int, bytes]:
    """(bytes that the house took before it refused, its answer)."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunk, sent, answer = b"10000\r\n" + b"x" * 65_536 + b"\r\n", 0, b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(head)
        try:
            while sent < size:
                connection.sendall(chunk)
                sent += 65_536
        except OSError:
            pass  # refused and closed
        try:
            while part := connection.recv(65_536):
                answer += part
        except OSError:
            pass
    return sent, answer


@pytest.mark.parametrize("path", ["/accounts/login/", "/api/v1/me/"])
def test_an_endless_body_is_cut_off(house, path):
    sent, answer = send_chunks(house.port, path, 300_000_000)
    assert answer.startswith(b"HTTP/1.1 413 ") and b"connection: close" in answer
    assert sent < 50_000_000, "what the buffers of both sides took, besides what was read"


def test_who_leaves_the_line_leaves_no_trace(pooled, cookie):
    """A hundred connections that hang up at once: the places are free again."""
    head = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie['Cookie']}\r\n\r\n".encode()
    for _visit in range(100):
        with socket.create_connection(("127.0.0.1", pooled.port)) as connection:
            connection.sendall(head)
    end = time.monotonic() + PATIENCE_S
    while {answer.status_code for answer in ask(pooled.port, ["/"] * 5, cookie)} != {200}:
        assert time.monotonic() < end
