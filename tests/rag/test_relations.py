"""Relations that a language model reads: ordered with a preview and a cap, proven by their excerpts, followed
by the search, gone with their passages. The model is a double behind a real socket, reached through the
gateway.
"""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
from django.test import Client

from accounts.services import create_user
from gateway import loop
from rag import relating
from rag.models import Collection, Entity, Reading, Relation
from rag.services import create_collection, delete_collection
from rag.work_names import RELATE
from tenants.context import platform, tenant
from tenants.local.models import Work
from tenants.provisioning.services import create_tenant
from tests.doubles.vendor import Vendor, running_vendor
from tests.rag.works import newest, work_off
from usage.models import UsageEvent

pytestmark = pytest.mark.scope(None)
PRICED, FREE = "reader-priced", "reader-free"
FILM = "quiet harbour was directed by mara lindqvist in one summer."
ANSWER = {
    "entities": [{"name": "mara lindqvist", "kind": "person"}, {"name": "Elvis", "kind": "person"}],
    "relations": [
        {
            "subject": "quiet harbour",
            "predicate": "directed by",
            "object": "mara lindqvist",
            "evidence": "was directed by mara lindqvist",
        },
        {
            "subject": "mara lindqvist",
            "predicate": "born in",
            "object": "quiet harbour",
            "evidence": "mara lindqvist, born in quiet harbour",
        },
    ],
}


class Reader:
    """What the double says of a passage: `say(text)` gives JSON's value, or words."""

    def __init__(self) -> None:
        self.say = lambda text: ANSWER
        self.vendor = Vendor()

    def answer(self, body) -> tuple[int, bytes]:
        said = self.say(body["messages"][-1]["content"])
        if isinstance(said, int):
            return said, b'{"error":{"message":"away","type":"server_error"}}'
        text = said if isinstance(said, str) else json.dumps(said)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        usage = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
        told = {"id": "a", "object": "chat.completion", "created": 1, "model": body["model"]}
        return 200, json.dumps(told | {"choices": [choice], "usage": usage}).encode()


@contextlib.contextmanager
def running_reader() -> Iterator[Reader]:
    reader, ready, over = Reader(), threading.Event(), asyncio.Event()
    outer = asyncio.new_event_loop()

    async def serve() -> None:
        async with running_vendor({"/v1/chat/completions": reader.answer}) as reader.vendor:
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: outer.run_until_complete(serve()))
    thread.start()
    ready.wait(10)
    yield reader
    outer.call_soon_threadsafe(over.set)
    thread.join(10)
    outer.close()


@pytest.fixture(scope="module")
def office(django_db_setup, django_db_blocker):
    from models_registry.services import add_connection, add_model, set_model_price

    slug = f"relations-{uuid4().hex[:6]}"
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(running_reader())
        with django_db_blocker.unblock():
            with platform():
                connection = add_connection(
                    actor=None,
                    name=slug,
                    kind="openai_compatible",
                    base_url=f"{reader.vendor.url}/v1",
                    allow_private=True,
                )
                for name, price in ((PRICED, Decimal(100)), (FREE, Decimal(0))):
                    model = add_model(actor=None, connection=connection, name=name)
                    set_model_price(actor=None, model=model, input=price, output=price)
            create_tenant(slug=slug, name=slug, host=f"{slug}.localhost", plan="unlimited")
            with tenant(slug):
                erin = create_user(actor=None, email=f"erin@{slug}.example", name="Erin", roles=["owner"])
                finn = create_user(actor=None, email=f"finn@{slug}.example", name="Finn", roles=["user"])
        yield SimpleNamespace(slug=slug, reader=reader, erin=erin, finn=finn)
        with django_db_blocker.unblock():
            asyncio.run_coroutine_threadsafe(loop.stop_loop(), loop._running_loop()).result(15)


@pytest.fixture
def films(office, unblocked, add):
    office.reader.say = lambda text: ANSWER
    with tenant(office.slug):
        made = create_collection(actor=office.erin, name="Films", relations_model=PRICED, languages=["en"])
        add(made, "one", FILM)
        yield Collection.objects.get(pk=made.pk)
        delete_collection(actor=None, collection=Collection.objects.get(pk=made.pk))
        assert not Relation.objects.exists() and not Reading.objects.exists()


def give_order(office, collection, cap="5") -> None:
    seen = relating.preview(office.erin, collection)
    relating.order_relations(actor=office.erin, collection=collection, seen=seen, cap=Decimal(cap))
    work_off()


def test_what_is_ordered_is_read_once_proven_and_paid_by_whoever_ordered_it(office, films):
    seen = relating.preview(office.erin, films)
    assert seen.passage_count == 1 and 0 < seen.cost < 5 and seen.is_in_money and not seen.problem
    give_order(office, films)
    assert newest(RELATE).state == Work.State.DONE, newest(RELATE).error
    (row,) = Relation.objects.all()
    names = dict(Entity.objects.values_list("key", "name"))
    assert (names[row.subject_key], row.predicate, names[row.object_key]) == (
        "quiet harbour",
        "directed by",
        "mara lindqvist",
    )
    assert FILM[row.evidence_from : row.evidence_to] == "was directed by mara lindqvist"
    assert "Elvis" not in names.values(), "nobody is named who is not in the passage"
    bill = UsageEvent.objects.get(source="knowledge")
    assert bill.user_id == office.erin.pk and bill.cost == newest(RELATE).cost == Decimal("0.015")


def test_the_page_shows_the_preview_takes_the_order_and_shows_the_proof(office, films):
    browser = Client(headers={"host": f"{office.slug}.localhost"})
    browser.force_login(office.erin)
    page, act = f"/knowledge/{films.pk}/graph/", f"/knowledge/{films.pk}/relations/"
    shown = browser.get(page)
    form = shown.context["order_form"]
    given = {name: form[name].value() for name in ("model", "passages", "cost", "cap")} | {"verb": "order"}
    assert f"{PRICED} would read 1 passage" in " ".join(shown.content.decode().split())
    assert browser.post(act, given | {"cap": "much"}).status_code == 400
    assert browser.post(act, given | {"cost": "0.001"}).status_code == 302
    assert not Work.objects.filter(kind=RELATE).exists(), "nobody had seen that preview"
    assert browser.post(act, given).status_code == 302
    assert "hx-get" in browser.get(act).content.decode()
    work_off()
    shown = browser.get(page).content.decode()
    assert "directed by" in shown and "“was directed by mara lindqvist”" in shown
    (document,) = films.documents.all()
    assert f"/knowledge/documents/{document.pk}/?from=14&amp;to=44" in shown
    assert "has nothing left to read here" in shown
    root = ET.fromstring(browser.get(f"/knowledge/{films.pk}/graph.graphml").content)
    told = {row.get("key"): row.text for edge in root.iter(f"{{{NAMESPACE}}}edge") for row in edge}
    assert (told["predicate"], told["evidence"]) == ("directed by", "was directed by mara lindqvist")
    browser.force_login(office.finn)
    assert "directed by" in browser.get(page).content.decode(), "whoever may read it sees the relations"
    assert browser.get(act).status_code == browser.post(act, given).status_code == 403
    stranger = Client(headers={"host": "acme.localhost"})
    with tenant("acme"):
        stranger.force_login(
            create_user(actor=None, email=f"s@{office.slug}.example", name="S", roles=["owner"])
        )
    assert stranger.get(page).status_code == stranger.post(act, given).status_code == 404
