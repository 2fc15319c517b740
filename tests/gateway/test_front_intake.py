"""What stands before Django: bodies are bounded, and no more is in work at once than the database has
connections for.
"""

import asyncio

import pytest
from django.conf import settings

from config import intake
from config.gate import Gate
from config.intake import PLACES, Intake

pytestmark = pytest.mark.scope(None)
LIMIT = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
PATIENCE_S = 20.0


class Django:
    """Takes the place of Django's application: reads the body as Django does, then works until it is told to
    end.
    """

    def __init__(self, content_type: bytes = b"text/html") -> None:
        self.content_type = content_type
        self.inside = 0
        self.most_inside = 0
        self.begun = 0
        self.read_bytes = 0
        self.may_end = asyncio.Event()
        self.query = b""

    async def __call__(self, scope, receive, send) -> None:
        self.query = scope["query_string"]
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            self.read_bytes += len(message["body"])
            if not message.get("more_body"):
                break
        self.begun += 1
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", self.content_type)]}
        )
        await self.may_end.wait()
        self.inside -= 1
        await send({"type": "http.response.body", "body": b"done"})


class Visit:
    """One request, as a server hands it over. `pieces` is its body; the
    client leaves when `leave` is called.
    """

    def __init__(
        self,
        app,
        path: str = "/",
        host: str = "acme.localhost",
        pieces=(b"",),
        headers=(),
        hangs: bool = False,
    ) -> None:
        self.status = 0
        self.headers = {}
        self.body = b""
        self.read_bytes = 0
        self._pieces = iter(pieces)
        self._hangs = hangs
        self._gone = asyncio.Event()
        self._next = next(self._pieces)
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": b"\xff",
            "headers": [(b"host", host.encode()), *headers],
            "scheme": "http",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 1),
        }
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self):
        if self._next is None:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        piece, self._next = self._next, next(self._pieces, None)
        self.read_bytes += len(piece)
        return {"type": "http.request", "body": piece, "more_body": self._next is not None or self._hangs}

    async def _send(self, message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]

    def leave(self) -> None:
        self._gone.set()

    async def end(self) -> int:
        await asyncio.wait_for(self.task, PATIENCE_S)
        return self.status


async def settle() -> None:
    """Let everything that can go on go on."""
    for _round in range(20):
        await asyncio.sleep(0)


def run(main) -> None:
    asyncio.run(main())


# -- the gate ------------------------------------------------------------------------------------------------


def test_only_so_many_are_in_work_and_the_others_come_in_turn():
    async def main():
        django = Django()
        app = Intake(django, Gate(places=4, line=100, wait_s=PATIENCE_S))
        visits = [Visit(app, host=f"{number % 5}.localhost") for number in range(40)]
        await settle()
        assert django.begun == 4
        django.may_end.set()
        assert {await visit.end() for visit in visits} == {200}
        assert django.begun == 40 and django.most_inside == 4

    run(main)


def test_one_host_takes_neither_all_places_nor_the_whole_line():
    async def main():
        django = Django()
        app = Intake(django, Gate(places=4, line=10, wait_s=PATIENCE_S))
        crowd = [Visit(app, host="acme.localhost:8000") for _ in range(20)]
        await settle()
        assert (django.begun, [visit.status for visit in crowd].count(503)) == (2, 13)
        other = [Visit(app, host="globex.localhost") for _ in range(2)]
        await settle()
        assert django.begun == 4, "whoever comes later, to a place that is not the crowd's to take"
        django.may_end.set()
        assert [await visit.end() for visit in other] == [200, 200]
        assert [await visit.end() for visit in crowd].count(200) == 7

    run(main)


def test_who_waits_too_long_or_finds_the_line_full_is_told_when_to_come_again():
    async def main():
        django = Django()
        app = Intake(django, Gate(places=2, line=2, wait_s=0.2))
        inside = Visit(app)
        waiting = Visit(app, "/api/v1/me/")
        refused = Visit(app, headers=[(b"accept-language", b"de")])
        await settle()
        assert (refused.status, waiting.status, inside.status) == (503, 0, 200), (
            "at once, and before any work"
        )
        assert int(refused.headers["retry-after"]) > 0 and "connection" not in refused.headers
        assert (
            await waiting.end() == 503
            and waiting.headers["content-type"] == "application/problem+json"
            and b'"code": "overloaded"' in waiting.body
        )
        django.may_end.set()
        assert await inside.end() == 200 and django.begun == 1

    run(main)


def test_a_refusal_is_dressed_like_every_answer():
    async def main():
        app = Intake(Django(), Gate(places=0, line=0, wait_s=0))
        page = Visit(app, headers=[(b"accept-language", b"de")])
        fragment = Visit(app, headers=[(b"hx-request", b"true")])
        await page.end()
        await fragment.end()
        assert {
            "content-security-policy",
            "x-frame-options",
            "x-content-type-options",
            "x-request-id",
            "cache-control",
        } <= set(page.headers)
        assert (
            page.headers["content-language"] == "de"
            and b'lang="de"' in page.body
            and page.headers["x-request-id"].encode() in page.body
        )
        assert (
            b"upgraded" not in page.body and b"<html" not in fragment.body and b"data-notice" in fragment.body
        )
        assert int(page.headers["content-length"]) == len(page.body)

    run(main)


def test_who_leaves_while_waiting_frees_the_place_in_line():
    async def main():
        django = Django()
        app = Intake(django, Gate(places=2, line=4, wait_s=PATIENCE_S))
        inside, first, second = Visit(app), Visit(app), Visit(app)
        await settle()
        first.leave()
        await settle()
        assert first.task.done() and first.status == 0 and not second.task.done()
        third = Visit(app)
        await settle()
        assert third.status == 0, "there is room in the line again"
        django.may_end.set()
        assert [await visit.end() for visit in (inside, second, third)] == [200] * 3 and django.begun == 3

    run(main)


def test_a_request_cancelled_in_any_moment_loses_no_place():
    """Also in the one between being called and going in."""

    async def main():
        gate = Gate(places=2, line=10, wait_s=PATIENCE_S)
        never = asyncio.get_running_loop().create_future()
        for is_called_first in (True, False):
            assert gate.enter_at_once("a")
            waiting = asyncio.ensure_future(gate.enter("a", never))
            await settle()
            if is_called_first:
                gate.leave("a")
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            if not is_called_first:
                gate.leave("a")
            assert gate.enter_at_once("a")
            gate.leave("a")

    run(main)


def test_an_application_that_fails_gives_its_place_back():
    async def fail(scope, receive, send) -> None:
        await receive()
        raise OSError("broken")

    async def main():
        app = Intake(fail, Gate(places=1, line=0, wait_s=0))
        for _attempt in range(3):
            with pytest.raises(OSError):
                await Visit(app).end()

    run(main)


@pytest.mark.parametrize("name", [b"content-type", b"accept"])
def test_a_header_that_django_stumbles_over_is_refused_before_it(name):
    async def main():
        django = Django()
        doubtful = Visit(Intake(django), headers=[(name, b"a/b; x*0=a"), (name, b"c; x*=b")])
        assert await doubtful.end() == 400 and django.begun == 0

    run(main)


def test_bytes_of_a_query_are_handed_on_as_django_reads_them():
    async def main():
        django = Django()
        django.may_end.set()
        assert await Visit(Intake(django)).end() == 200 and django.query == b"%FF"

    run(main)


def test_an_event_stream_holds_no_place_once_it_has_begun():
    async def main():
        django = Django(b"text/event-stream; charset=utf-8")
        gate = Gate(places=2, line=0, wait_s=0)
        app = Intake(django, gate)
        visits = [Visit(app) for _ in range(30)]
        await settle()
        assert django.inside == 30
        django.may_end.set()
        assert {await visit.end() for visit in visits} == {200}
        assert [gate.enter_at_once(host) for host in "abc"] == [True, True, False], (
            "no place was given back twice"
        )

    run(main)


@pytest.mark.parametrize("path", ["/healthz/live", "/static/css/app.css"])
def test_health_and_static_files_pass_a_full_house(path):
    async def main():
        django = Django()
        app = Intake(django, Gate(places=1, line=0, wait_s=0))
        page = Visit(app)
        await settle()
        assert await Visit(app).end() == 503
        passing = Visit(app, path)
        django.may_end.set()
        assert await passing.end() == 200 and await page.end() == 200

    run(main)


def test_a_body_that_is_still_coming_holds_no_place():
    async def main():
        django = Django()
        app = Intake(django, Gate(places=1, line=0, wait_s=0))
        slow = [Visit(app, pieces=[b"a"], hangs=True) for _ in range(5)]
        await settle()
        django.may_end.set()
        assert await Visit(app).end() == 200
        for visit in slow:
            visit.leave()
            assert await visit.end() == 0

    run(main)


def test_places_leave_connections_for_what_pages_wait_for():
    kept_free = settings.DATABASE_POOL["max_size"] - PLACES - intake.HEALTH_PLACES
    assert kept_free > 0


# -- bodies --------------------------------------------------------------------------------------------------


def pieces(size: int, each: int = 65_536):
    for _piece in range(size // each):
        yield b"x" * each


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/api/v1/me/", "application/problem+json"), ("/accounts/login/", "text/html; charset=utf-8")],
)
def test_a_body_without_end_is_refused_at_the_limit(path, kind):
    async def main():
        django = Django()
        visit = Visit(Intake(django), path, pieces=pieces(50_000_000))
        assert (
            await visit.end() == 413
            and visit.headers["content-type"] == kind
            and visit.headers["connection"] == "close"
        )
        assert visit.read_bytes <= LIMIT + 65_536 and django.read_bytes <= LIMIT and django.begun == 0

    run(main)


def test_a_body_that_says_it_is_too_large_is_not_read():
    async def main():
        visit = Visit(Intake(Django()), pieces=pieces(50_000_000), headers=[(b"content-length", b"50000000")])
        assert await visit.end() == 413 and visit.read_bytes == 0 and b"2.5" in visit.body

    run(main)


def test_a_body_as_large_as_allowed_comes_through():
    async def main():
        django = Django()
        django.may_end.set()
        visit = Visit(
            Intake(django),
            pieces=[b"x" * (LIMIT - 1), b"x"],
            headers=[(b"content-length", str(LIMIT).encode())],
        )
        assert await visit.end() == 200 and django.read_bytes == LIMIT

    run(main)


def test_what_is_allowed_stays_in_memory():
    assert LIMIT <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE, "Django writes more than that to disk"


def test_a_body_that_stalls_is_given_up(monkeypatch):
    async def main():
        django = Django()
        visit = Visit(Intake(django), "/api/v1/me/", pieces=[b"{"], hangs=True)
        assert (
            await visit.end() == 408
            and visit.headers["connection"] == "close"
            and b'"code": "request_timeout"' in visit.body
        )
        assert django.begun == 0

    monkeypatch.setattr(intake, "BODY_PAUSE_S", 0.2)
    run(main)
