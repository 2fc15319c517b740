"""A person at a living house's pages: logged in, without a browser. Reads and posts as the pages' own scripts
do.

What a visitor writes is committed; each gets a person of their own, so that tests do not meet.
"""

import json
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import httpx
from django.conf import settings
from django.test import Client

from prompts.models import Conversation, Message
from tenants.context import tenant

PATIENCE_S = 30.0


def make_person(slug: str, role: str = "user", name: str = "Bob Baumann", language: str = "en"):
    """A person who never was there before."""
    from accounts.services import create_user

    with tenant(slug):
        return create_user(
            actor=None,
            email=f"{secrets.token_hex(6)}@{slug}.example",
            name=name,
            roles=[role],
            language=language,
        )


def start_session(slug: str, user, model_name: str = "") -> dict[str, str]:
    """A session as logging in makes it: its cookie and its CSRF token. `model_name` is what the person chose
    last.
    """
    client = Client(headers={"host": f"{slug}.localhost"})
    with tenant(slug):
        client.force_login(user)
        session, token = client.session, secrets.token_hex(16)
        session["_csrftoken"] = token
        session["model_name"] = model_name
        session.save()
    return {"cookie": session.session_key, "token": token}


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    id: str
    name: str
    data: dict


class Visitor(httpx.Client):
    """See the module. Requests are htmx's unless `headers` say otherwise."""

    def __init__(self, port: int, slug: str, user) -> None:
        session = start_session(slug, user)
        super().__init__(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Host": f"{slug}.localhost", "HX-Request": "true", "X-CSRFToken": session["token"]},
            cookies={settings.SESSION_COOKIE_NAME: session["cookie"]},
            timeout=PATIENCE_S,
        )
        self.slug = slug
        self.user = user

    def at(self, port: int) -> "Visitor":
        """The same person at another process."""
        twin = Visitor(port, self.slug, self.user)
        return twin

    def ask(
        self, text: str, model: str, conversation_id: UUID | None = None, project: UUID | None = None
    ) -> Message:
        """Ask, and get the answer that has begun."""
        address = f"/c/{conversation_id}/messages/" if conversation_id else "/c/new/"
        more = {"project": str(project)} if project else {}
        response = self.post(address, data={"text": text, "model": model, **more})
        assert response.status_code == 201, response.text
        return self.message(find_begun(response.text))

    def do(self, verb: str, message: Message, **data: str) -> httpx.Response:
        """stop, regenerate, continue or (a question, with `text`) edit."""
        return self.post(f"/m/{message.pk}/{verb}/", data=data)

    def begin(self, verb: str, message: Message, **data: str) -> Message:
        """regenerate, continue or edit, and get the answer that has begun."""
        response = self.do(verb, message, **data)
        assert response.status_code == 200, response.text
        return self.message(find_begun(response.text))

    def events(self, message: Message, after: str = "") -> Iterator[Event]:
        """The answer's event stream, until the house ends it. Close the generator to hang up."""
        with self.stream(
            "GET", f"/m/{message.pk}/events/", params={"after": after} if after else {}
        ) as response:
            assert response.status_code == 200, response.status_code
            yield from _read_events(response)

    def shown(self, message: Message) -> str:
        """The text a page shows at the end of the stream, as its script puts it together."""
        return show(list(self.events(message)))

    def message(self, pk) -> Message:
        with tenant(self.slug):
            rows = Message.objects.select_related("conversation", "parent").prefetch_related(
                "parts", "parent__parts"
            )
            return rows.get(pk=pk)

    def conversation(self, pk) -> Conversation:
        with tenant(self.slug):
            return Conversation.objects.get(pk=pk)

    def wait_for(self, message: Message, condition, patience_s: float = PATIENCE_S) -> Message:
        """The message once `condition(message)` holds."""
        end = time.monotonic() + patience_s
        while not condition(found := self.message(message.pk)):
            assert time.monotonic() < end, (
                f"not within {patience_s} s: {found.status} {found.error_code} {found.text!r}"
            )
            time.sleep(0.05)
        return found

    def finished(self, message: Message) -> Message:
        return self.wait_for(message, lambda found: not found.is_unfinished)

    def grown(self, message: Message, characters: int = 20) -> Message:
        """The message once so much of it is in its row."""
        return self.wait_for(message, lambda found: len(found.text) >= characters)


def find_begun(html: str) -> str:
    """The id of the answer that a page is to follow."""
    return re.search(r'data-events-url="/m/([0-9a-f-]{36})/events/"', html)[1]


def _read_events(response: httpx.Response) -> Iterator[Event]:
    last_id, fields = "", {}
    for line in response.iter_lines():
        name, _colon, value = line.partition(": ")
        if not line and "data" in fields:
            last_id = fields.get("id", last_id)
            yield Event(last_id, fields.get("event", ""), json.loads(fields["data"]))
        if not line:
            fields = {}
        else:
            fields[name] = value


def show(events: list[Event]) -> str:
    """What static/js/answer-stream.js would show after these updates, as text."""
    stable = tail = ""
    for event in events:
        if event.name != "update":
            continue
        stable = ("" if event.data.get("anew") else stable) + event.data["append"]
        tail = event.data["tail"]
    return text_of(stable + tail)


def text_of(html: str) -> str:
    """The words of an HTML fragment, as somebody reads them."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def said(tokens: int) -> str:
    """What the mock says in so many tokens."""
    return " ".join(f"w{number}" for number in range(tokens))
