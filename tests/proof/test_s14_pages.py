"""S14 for the web pages of collections: no address that somebody enters, no name that its owner moves before
the page is looked at again, and no redirect of a server that is allowed leads inside; nothing of ours goes
along that would let anybody in.

Every form × a page entered, one looked at again (which is asked as if the address had come past the check
once), and one to which a server redirects whose host the operator has allowed.
Does not cover: what the page's own links name: nobody follows them.
"""

import contextlib
import os
from dataclasses import replace

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from foundation.errors import AtriumError, InvalidInput
from rag import pages
from rag.intake import add_url
from rag.models import Document
from rag.services import create_collection
from rag.work_names import RECRAWL
from tenants.local.models import Work
from tests.foundation.test_egress import Canary
from tests.proof import outgoing
from tests.proof.hostile_urls import PUBLIC_ADDRESS, forms
from tests.proof.outgoing import NameServer, led_inside, watching
from tests.proof.test_s14_outgoing import BUGS as GUARDS
from tests.rag.works import newest, work_off

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]
NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
EVERY = 1 if NIGHT else 60
ALLOWED = "door.localhost"  # a name that may lead to this machine
CODES = (301, 302, 303, 307, 308)


class Names(NameServer):
    """With one name more: that of the operator's own server, on this machine."""

    def __call__(self, host, port, *more, **options):
        if host == ALLOWED:
            return self._entries("127.0.0.1", port)
        return super().__call__(host, port, *more, **options)


@pytest.fixture
def names(monkeypatch):
    return Names(monkeypatch)


@pytest.fixture
def inside():
    """What must not be reached."""
    listener = Canary()
    yield listener
    listener.close()


@pytest.fixture
def door(monkeypatch, settings):
    """The server whose host the operator has allowed; the one that may be reached."""
    listener = Canary()
    settings.PRIVATE_PAGES = frozenset({ALLOWED})
    monkeypatch.setattr(outgoing, "OWN_PORTS", outgoing.OWN_PORTS | {listener.port})
    yield listener
    listener.close()


@pytest.fixture
def collection(db):
    return create_collection(actor=None, name="Harbour")


def redirect(door: Canary, location: str, code: int = 302) -> None:
    raw = location.encode("utf-8", "surrogatepass")
    door.answer = b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (code, raw)


def fetch(url: str) -> None:
    with contextlib.suppress(AtriumError):
        pages.fetch_page(url, {"ETag": '"1"'})


def attempt_all(collection, door: Canary, url: str, code: int):
    def enter() -> None:
        with contextlib.suppress(AtriumError, ValidationError):
            document, _is_new = add_url(actor=None, collection=collection, url=url)
            fetch(document.address)

    def follow() -> None:
        redirect(door, url, code)
        fetch(f"http://{ALLOWED}:{door.port}/")

    yield "entered", enter
    yield "looked at again", lambda: fetch(url)
    if not set("\r\n") & set(url):
        yield "redirected to", follow


def find_ways_in(collection, door: Canary, names: Names, some: list) -> tuple[int, list[str]]:
    """(how many forms were tried, what led inside)"""
    found, tried = [], 0
    for number, (url, answers) in enumerate(some):
        if "\x00" in url:
            continue
        tried += 1
        for way, attempt in attempt_all(collection, door, url, CODES[number % len(CODES)]):
            names.answers = list(answers or ())
            with watching() as noted:
                attempt()
            found += [f"{url!r} {way} leads to {address}" for address in led_inside(noted)]
    return tried, found


def test_no_address_of_a_page_leads_inside(collection, door, inside, names):
    tried, found = find_ways_in(collection, door, names, list(forms(inside.port))[::EVERY])
    assert found == [] and inside.connects == 0
    assert tried >= (606 if NIGHT else 12) and door.connects >= tried // 2, "the allowed server was asked"
    print(f"\nS14: {tried} forms, each entered, looked at again and redirected to: 0 led inside")


def test_a_name_that_is_moved_before_the_next_look_leads_nowhere(collection, door, names):
    """All of it over the queue: the first look at a public address, the next one when it is due."""
    url = "http://moves.example/tides"
    names.answers = [[PUBLIC_ADDRESS]]
    with watching() as noted:
        document, _is_new = add_url(actor=None, collection=collection, url=url, recrawl_days=1)
        work_off()
    assert [address[0] for address in noted] and not led_inside(noted)
    Document.objects.filter(pk=document.pk).update(state="ready")
    for answers in ([["127.0.0.1"]], [[PUBLIC_ADDRESS, "10.0.0.1"]], [["::ffff:127.0.0.1"]]):
        names.answers = answers
        Work.objects.filter(state=Work.State.QUEUED).update(due_at=timezone.now())
        add_url(actor=None, collection=collection, url=url)
        with watching() as noted:
            work_off()
        assert noted == [], answers
        document.refresh_from_db()
        assert document.why, "and it is said"


def test_what_was_allowed_once_is_asked_at_each_look(collection, door, names, settings):
    door.answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nThe tides"
    url = f"http://{ALLOWED}:{door.port}/tides"
    document, _is_new = add_url(actor=None, collection=collection, url=url, recrawl_days=1)
    work_off()
    document.refresh_from_db()
    assert document.state == "ready" and door.connects == 1
    settings.PRIVATE_PAGES = frozenset()
    Work.objects.filter(pk=newest(RECRAWL).pk).update(due_at=timezone.now())
    work_off()
    assert door.connects == 1


def test_nothing_goes_along_that_would_let_anybody_in(collection, door, names):
    other = f"http://user:secret@{ALLOWED}:{door.port}/next"
    with pytest.raises(InvalidInput):
        add_url(actor=None, collection=collection, url=other)
    for location in (other, "/next", f"//{ALLOWED}:{door.port}/next"):
        redirect(door, location)
        door.answer = door.answer.replace(b"Content-Length", b"Set-Cookie: a=secret\r\nContent-Length")
        fetch(f"http://{ALLOWED}:{door.port}/")
    sent = b"".join(door.requests).lower()
    assert sent.count(b"get /next") >= 2 and b"if-none-match" in sent
    assert all(word not in sent for word in (b"cookie", b"authorization", b"secret", b"referer"))


def test_redirects_end(collection, door, names):
    redirect(door, "/")
    fetch(f"http://{ALLOWED}:{door.port}/")
    assert len(door.requests) == pages.MOST_REDIRECTS + 1


BUGS = {
    "every address is a public one": GUARDS["every address is a public one"],
    "answers of name servers are believed": GUARDS["answers of name servers are believed"],
    "a redirect may go where the first address may": [
        (pages, "policy_for", lambda url: replace(pages.PUBLIC, allow_private=True)),
    ],
}


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_planted_bug_a_guard_that_is_missing_is_found_out(collection, door, inside, names, monkeypatch, bug):
    for place, name, careless in bug:
        monkeypatch.setattr(place, name, careless)
    some = [form for form in forms(inside.port) if "//127.0.0.1:" in form[0] or "leads-in-0." in form[0]]
    _tried, found = find_ways_in(collection, door, names, some[:1] + some[-1:])
    assert any("redirected to" in one for one in found)


def test_planted_bug_an_answer_that_is_kept_for_the_next_look_is_found_out(collection, door, names, settings):
    """What was allowed once would stay so."""
    kept = pages.policy_for(f"http://{ALLOWED}/")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "policy_for", lambda url: kept)
        with pytest.raises(AssertionError):
            test_what_was_allowed_once_is_asked_at_each_look(collection, door, names, settings)
