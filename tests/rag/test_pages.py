"""Web pages of collections: fetched by the house's one way out, again when they are due, and kept when they
vanish. Behind it stands a real server, of which the operator has allowed the host.
"""

import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from django.utils import timezone

from foundation.errors import InvalidInput
from rag.engines import Question
from rag.engines.table import engine_of
from rag.intake import add_file, add_url, retry_document
from rag.models import Collection
from rag.progress import describe_document
from rag.services import delete_document
from rag.work_names import RECRAWL
from tenants.files.models import File
from tenants.local.models import Work
from tests.rag.works import bring, newest, work_off

pytestmark = pytest.mark.django_db


@pytest.fixture
def web(settings):
    """`pages`: path → (status, headers, text); `asked`: each request's path and headers."""
    state = SimpleNamespace(pages={}, asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append((self.path, self.headers))
            status, headers, text = state.pages.get(self.path, (404, {}, ""))
            if self.headers.get("If-None-Match") == headers.get("ETag", ""):
                status, text = 304, ""
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    settings.PRIVATE_PAGES = frozenset({"127.0.0.1"})
    yield state
    server.shutdown()
    server.server_close()


def found(collection: Collection, text: str) -> list[str]:
    here = Collection.objects.filter(pk=collection.pk)
    return [hit.text for hit in engine_of(collection).search(Question(text, here))]


def page(text: str, version: str = "1") -> tuple[int, dict, str]:
    return (
        200,
        {"Content-Type": "text/html", "ETag": f'"{version}"'},
        f"<html><body><p>{text}</p></body></html>",
    )


def make_due() -> None:
    Work.objects.filter(state=Work.State.QUEUED).update(due_at=timezone.now())


def test_a_page_is_looked_at_again_and_kept_when_it_vanishes(make_collection, web):
    collection = make_collection()
    web.pages["/tides"] = page("The tide turns at noon.")
    web.pages["/old"] = (301, {"Location": "/tides"}, "")
    document, is_new = add_url(actor=None, collection=collection, url=f"{web.url}/old#top", recrawl_days=7)
    work_off()
    document.refresh_from_db()
    assert is_new and (document.state, document.version) == ("ready", 1) and found(collection, "tide")
    assert document.fetched_at and newest(RECRAWL).due_at > timezone.now() + timedelta(days=6)
    make_due()
    work_off()
    assert web.asked[-1][1]["If-None-Match"] == '"1"' and File.objects.count() == 1
    web.pages["/tides"] = page("The tide turns at midnight.", "2")
    make_due()
    work_off()
    document.refresh_from_db()
    assert (
        document.version == 2
        and len(found(collection, "tide")) == 1
        and "midnight" in found(collection, "tide")[0]
    )
    assert File.objects.count() == 1
    web.pages.clear()
    make_due()
    work_off()
    document.refresh_from_db()
    assert document.state == "ready" and "gone" in document.why and found(collection, "midnight")
    again, is_new = add_url(actor=None, collection=collection, url=f"{web.url}/old")
    assert not is_new and again.pk == document.pk and describe_document(again).is_again
    assert newest(RECRAWL).state == Work.State.QUEUED, "it is looked for again"
    delete_document(actor=None, document=again)
    assert not Work.objects.filter(state__in=Work.ACTIVE).exists() and not File.objects.exists()


def test_what_cannot_be_fetched_says_why(make_collection, web):
    collection = make_collection()
    web.pages["/same"] = page("The same words.")
    add_file(actor=None, collection=collection, file=bring(web.pages["/same"][2], "same.html"))
    web.pages["/locked"] = (403, {}, "")
    web.pages["/loop"] = (302, {"Location": "/loop"}, "")
    reasons = {
        "/none": "no page",
        "/locked": "error (HTTP 403)",
        "/loop": "on and on",
        "/same": "stands here already",
    }
    for path in reasons:
        add_url(actor=None, collection=collection, url=web.url + path)
    work_off()
    Work.objects.filter(state=Work.State.QUEUED).update(attempts=4)
    make_due()
    work_off()
    for path, reason in reasons.items():
        document = collection.documents.get(address=web.url + path)
        assert document.state == "failed" and reason in document.why, path
    web.pages["/none"] = page("Here now.")
    retry_document(actor=None, document=collection.documents.get(address=f"{web.url}/none"))
    work_off()
    assert found(collection, "here now")


def test_nothing_leads_into_private_networks(make_collection, web, settings):
    collection = make_collection()
    port = web.url.rpartition(":")[2]
    web.pages["/away"] = (302, {"Location": f"http://localhost:{port}/secret"}, "")
    web.pages["/secret"] = page("The secret.")
    add_url(actor=None, collection=collection, url=f"{web.url}/away")  # its host is allowed, the next is not
    work_off()
    document = collection.documents.get()
    assert document.state == "failed" and [path for path, _headers in web.asked] == ["/away"]
    settings.PRIVATE_PAGES = frozenset()
    for url in (f"{web.url}/secret", "http://10.0.0.1/", "file:///etc/passwd", "nonsense"):
        with pytest.raises(InvalidInput):
            add_url(actor=None, collection=collection, url=url)
    retry_document(actor=None, document=document)
    work_off()
    assert [path for path, _headers in web.asked] == ["/away"], "what was allowed once is asked each time"
