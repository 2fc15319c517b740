"""S15: whatever a model, a provider or a person says, nothing of it runs in a real browser, and nothing is
fetched because of it.

Every payload as question, as answer, as error of a provider, as a message's model and as a conversation's
title (on the page, and as the fragment of earlier messages); all of them streaming in; the short ones as
names of people, projects, keys, roles, connections and models, on the pages and in the administration.
Does not cover: file names, office previews, errors of OAuth: there are none yet.
"""

import os
import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from prompts.models import Message
from tests.e2e.browser import Chat, log_in
from tests.e2e.conftest import arrive, open_browser  # noqa: F401  arrive: a fixture
from tests.live import TENANTS, listen, running_web
from tests.prompts.chats import make_conversation, say
from tests.prompts.conftest import chat_models  # noqa: F401  a fixture
from tests.proof.hostile_markup import HOST, payloads
from tests.routes import TENANT

NIGHT = os.environ.get("ATRIUM_PROOF") == "night"
SLUG = TENANTS[0]
BATCH, ON_ONE_PAGE, AT_ONCE = 30, 40, 12_000
pytestmark = [
    pytest.mark.scope(SLUG),
    pytest.mark.timeout(3_600),
    pytest.mark.skipif(not NIGHT, reason="a long run; tests/e2e/test_hostile_answers.py is its sample"),
]
# Pieces of a payload that are alive in the page: code, what is fetched unasked, and links that run.
FIND_LIVE = r"""(host) => {
  const runs = /^(on|x-|@|:|hx-|data-hx-)/;
  const fetched = /^(src|srcset|poster|background|data|srcdoc|action|formaction|ping|style)$/;
  const ways = /^(https?|mailto):/;
  const leadsAway = (link) => !URL.canParse(link.href) || ways.test(new URL(link.href).protocol);
  const isAlive = (element) => {
    const attributes = [...element.attributes];
    const address = element.getAttribute("href") ?? element.getAttribute("xlink:href") ?? "";
    return (element.localName === "script" && element.textContent.includes("__x"))
      || attributes.some(({name, value}) => runs.test(name) && /__x|alert/.test(value))
      || attributes.some(({name, value}) => fetched.test(name) && value.includes(host))
      || (/__x|:(?!\/\/localhost)/.test(address) && !(element.localName === "a" && leadsAway(element)));
  };
  const foreign = "script, iframe, object, embed, form, img, video, audio, style, base, link, meta";
  const math = "math [href], math [style], math [src], annotation-xml, annotation, semantics, maction";
  const parts = [...document.querySelectorAll(".prose, .bubble, h1, .message-model")];
  return [
    ...[...document.querySelectorAll("*")].filter(isAlive),
    ...parts.flatMap((part) => [...part.querySelectorAll(`${foreign}, ${math}`)]),
  ].map((element) => element.outerHTML);
}"""


@pytest.fixture(scope="module")
def browser(house, chat_models):  # noqa: F811
    with open_browser() as browser:
        yield browser


def is_dead(chat: Chat) -> None:
    """Nothing of a payload lives in the page; the watch listens for the rest."""
    found = chat.page.evaluate(FIND_LIVE, HOST)
    assert found == [], f"{chat.page.url}: {found[:3]}"
    assert chat.page.evaluate("window.__x") is None, chat.page.url


def write_down(person, batch: list[str]) -> str:
    """A conversation in which both sides and the provider say each payload, and one titled with each."""
    conversation = make_conversation(person, batch[0][:200], turns=len(batch))
    messages = list(conversation.messages.order_by("position"))
    for number, message in enumerate(messages):
        text = batch[number // 2]
        say(message, text)
        if message.role == "assistant":
            message.status, message.error_code = Message.Status.FAILED, "upstream_error"
            message.error_message, message.model_name = text, text[:200]
    Message.objects.bulk_update(messages, ["status", "error_code", "error_message", "model_name"])
    for payload in batch:
        make_conversation(person, payload[:200], turns=0)
    return f"/c/{conversation.pk}/"


def visit_batches(come: Callable[..., Chat], texts: list[str], **options) -> Chat:
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        chat = come(path=None, **options)
        chat.go(write_down(chat.person, batch))
        if 2 * len(batch) > ON_ONE_PAGE:
            chat.page.locator(".earlier").scroll_into_view_if_needed()  # the first ones come as a fragment
        expect(chat.page.locator(".message")).to_have_count(2 * len(batch))
        is_dead(chat)
        chat.watch.look_into(chat.context)
        if not options:
            chat.page.close()
    return chat


def test_nothing_in_a_conversation_runs_or_is_fetched(arrive):  # noqa: F811
    texts = payloads()
    visit_batches(arrive, texts)
    assert len(texts) >= 3_000
    print(f"\nS15: {len(texts)} payloads × 5 places of a conversation: 0 executions, 0 foreign requests")


def test_nothing_that_streams_in_runs_or_is_fetched(arrive):  # noqa: F811
    texts, count = payloads(), 0
    while texts:
        told = ""
        while texts and len(told) + len(texts[-1]) < AT_ONCE:
            told, count = f"{told}{texts.pop()}\n\n</code>\n\n", count + 1
        chat = arrive(model="mock-echo")
        chat.ask(told)
        chat.wait_for()
        is_dead(chat)
        chat.watch.look_into(chat.context)
        chat.page.close()
    print(f"\nS15: {count} payloads streamed in: 0 executions, 0 foreign requests")


# -- names ---------------------------------------------------------------------------------------------------

LISTS = {
    "accounts_user": "name", "accounts_project": "name", "accounts_apikey": "name", "auth_group": "name",
    "models_registry_connection": "name", "models_registry_model": "label",
}  # fmt: skip
PAGES = [
    "prompts:chat-home", "prompts:conversation-list", "accounts:profile", "accounts:apikey-list",
    "usage:my-usage", "service:index",
]  # fmt: skip


@pytest.fixture
def named(house, django_db_blocker):
    """A tenant of its own, and a function that names one of everything after each text."""
    from accounts.models import ApiKey, Project
    from accounts.services import create_user
    from models_registry.services import add_connection, add_model
    from tenants.context import tenant
    from tenants.provisioning.services import create_tenant

    slug = f"s15-{uuid4().hex[:8]}"
    with django_db_blocker.unblock():
        create_tenant(
            slug=slug, name="<img src=x onerror=window.__x=1>", host=f"{slug}.localhost", plan="unlimited"
        )
        with tenant(slug):
            owner = create_user(actor=None, email=f"o@{slug}.example", name="O", roles=["owner"])

        def name_all(texts: list[str]) -> None:
            from django.contrib.auth.models import Group

            from accounts.models import User
            from accounts.services import create_api_key
            from models_registry.models import Connection, Model

            with tenant(slug):
                base = add_connection(
                    actor=None, name="base", kind="openai_compatible", base_url="https://a.example/v1"
                )
                add_model(actor=None, connection=base, name="base")
                create_api_key(actor=None, user=owner, name="base")
                for number, text in enumerate(texts):
                    User.objects.create(email=f"{number}@{slug}.example", name=text)
                    Project.objects.create(name=text)
                    Group.objects.create(name=text)
                    create_api_key(actor=None, user=owner, name=f"k{number}")
                    row = add_connection(
                        actor=None,
                        name=f"c{number}",
                        kind="openai_compatible",
                        base_url="https://a.example/v1",
                    )
                    Connection.objects.filter(pk=row.pk).update(name=text, last_error=text)
                    model = add_model(actor=None, connection=row, name=f"m{number}", label=text)
                    Model.objects.filter(pk=model.pk).update(licence=text, upstream_name=text)
                    make_conversation(owner, text, turns=1)
                for key, text in zip(ApiKey.objects.exclude(name="base"), texts, strict=True):
                    ApiKey.objects.filter(pk=key.pk).update(name=text)

        yield slug, owner, name_all


def test_no_name_runs_or_fetches_anything(arrive, named):  # noqa: F811
    (slug, owner, name_all), visited = named, 0
    texts = [text for text in payloads() if len(text) <= 80][::8]
    name_all(texts)
    chat = arrive(user=None, is_known=False, host=f"{slug}.localhost", path=None)
    log_in(chat.context, slug, owner, chat.watch.port)
    lists = [reverse(f"service:{name}_changelist", urlconf=TENANT) for name in LISTS]
    pages = [f"{path}?p={page}" for path in lists for page in range(1, len(texts) // 50 + 1)]
    for path in [*(reverse(name, urlconf=TENANT) for name in PAGES), *pages]:
        answer = chat.page.goto(chat.base_url + path)
        assert answer.status == 200, path
        assert path not in pages or answer.text().count("__x") > 5, f"{path} shows no names"
        is_dead(chat)
        visited += 1
    print(f"\nS15: {len(texts)} names of everything on {visited} pages: 0 executions, 0 foreign requests")


# -- planted bugs --------------------------------------------------------------------------------------------

UNCLEANED = """
from markdown_it import MarkdownIt
from prompts import rendering
rendering._parser = lambda: MarkdownIt("commonmark", {"html": True})
rendering._clean = rendering.SafeString
"""
WITHOUT_POLICY = """
from config.middleware import SecurityHeadersMiddleware
SecurityHeadersMiddleware.__call__ = lambda self, request: self.get_response(request)
"""
UNESCAPED = """
from django.template import base
base.render_value_in_context = lambda value, context: str(value)
"""


@pytest.mark.parametrize(
    ("bug", "sign"),
    [
        (UNCLEANED, "policy violated|foreign request"),
        (UNCLEANED + WITHOUT_POLICY, "executed"),
        (UNESCAPED, "policy violated"),
    ],
    ids=["texts are not cleaned", "nor is there a policy", "templates escape nothing"],
)
def test_planted_bug_is_found_out(arrive, house, bug, sign):  # noqa: F811
    # elements that do not swallow the rest of the page, on the page itself
    some = [text for text in payloads() if text.startswith(("<img", "<svg", "<video"))][: ON_ONE_PAGE // 2]
    with listen() as listener, running_web(listener, {**os.environ}, bug):
        chat = arrive(path=None, port=listener.getsockname()[1])
        chat.go(write_down(chat.person, some))
        with pytest.raises(AssertionError):
            is_dead(chat)
        chat.watch.look_into(chat.context)
        complaints, chat.watch.complaints, chat.watch.expected = "\n".join(chat.watch.complaints), [], [""]
    assert re.search(sign, complaints), complaints[:2_000]
