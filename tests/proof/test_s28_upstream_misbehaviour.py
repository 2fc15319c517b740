"""S28: each fault of the mock's catalogue, streamed or not, for chat, messages and texts, for embeddings and
reranking, and at a provider of Anthropic's protocol, through the real `/v1`: a well-formed end within the
connection's limits, one bill, no hold, no socket, no secret.

`make test` meets each fault in two forms, in turn; `make proof` in all, three times, breaking answers at
other places.
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from decimal import Decimal

import aiohttp
import pytest

from foundation.ids import uuid7
from tests.doubles import MockLLM, running_mockllm
from tests.live import House, house_with_bug
from tests.proof import misbehaviour_seen
from tests.proof.misbehaving import (
    ANTHROPIC,
    CHAT,
    EMBEDDINGS,
    MESSAGES,
    OPENAI,
    RERANK,
    SEEDS,
    TEXTS,
    Ask,
    list_asks,
    sample,
)
from tests.proof.misbehaviour_seen import (
    SECRET,
    SLUG,
    Answer,
    check_all_closed,
    check_bills,
    check_end,
    check_nothing_told,
)

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(300)]
LIMITS_S = {"connect_timeout_s": 1, "first_byte_timeout_s": 3, "idle_timeout_s": 2, "total_timeout_s": 8}
# An attempt that takes as long as it may is not repeated (gateway.steps.attempts): the limit, twice over
# for a busy machine.
HANGS_S = 2 * LIMITS_S["total_timeout_s"]
AT_ONCE = 12
# beside these, as they cost nobody any work
WAITING = {
    "hang-before-header",
    "hang-after-header",
    "hang-mid-stream",
    "hang-before-done",
    "open-after-done",
}


# the pool lets go of idle connections after a second instead of fifteen: what is left then is a leak
QUICK_POOL = 'import aiohttp; aiohttp.TCPConnector.__init__.__kwdefaults__["keepalive_timeout"] = 1.0\n'


@pytest.fixture(scope="module")
def upstream(house, django_db_blocker) -> Iterator[MockLLM]:
    """A mock of its own behind connections of its own with short limits, as models of the tenant."""
    from models_registry.services import add_connection, remove_connection
    from tenants.context import tenant

    wanted = (some for seed in range(SEEDS) for some in (sample(list_asks(seed)), *asks_of_bugs(seed)))
    asks = {ask.name: ask for some in wanted for ask in some}
    options = {"secret": SECRET, "allow_private": True, **LIMITS_S}
    with (
        running_mockllm() as mock,
        django_db_blocker.unblock(),
        tenant(SLUG),
        contextlib.ExitStack() as stack,
    ):
        # several: a model that fails ten times in ten seconds at one connection is not asked there
        for kind, paths in (
            (OPENAI, (CHAT, EMBEDDINGS)),
            (OPENAI, (MESSAGES,)),
            (OPENAI, (RERANK, TEXTS)),
            (ANTHROPIC, (CHAT, MESSAGES)),
        ):
            name = f"s28 {kind} {paths[0]}"
            connection = add_connection(actor=None, name=name, kind=kind, base_url=mock.base_url, **options)
            stack.callback(remove_connection, actor=None, connection=connection, force=True)
            for path in paths:
                add_models(connection, [ask for ask in asks.values() if (ask.path, ask.kind) == (path, kind)])
        yield mock


def add_models(connection, asks: list[Ask]) -> None:
    """The first as the services write it, the others like it: one by one they take half a minute."""
    from models_registry.models import Model, ModelPrice
    from models_registry.services import add_model, set_model_price

    if not asks:
        return
    first, *others = asks
    kind = {EMBEDDINGS: "embedding", RERANK: "rerank"}.get(first.path, "chat")
    prices = {"output": Decimal(2)} if kind == "chat" else {}
    row = add_model(actor=None, connection=connection, name=first.name, upstream_name=first.model, kind=kind)
    price = set_model_price(actor=None, model=row, input=Decimal(1), **prices)

    def like(sample, **changes):
        values = {field.attname: getattr(sample, field.attname) for field in sample._meta.concrete_fields}
        return type(sample)(**{**values, "id": uuid7(), **changes})

    rows = [like(row, name=ask.name, upstream_name=ask.model) for ask in others]
    Model.objects.bulk_create(rows)
    ModelPrice.objects.bulk_create(like(price, model_id=one.pk) for one in rows)


async def put(session: aiohttp.ClientSession, house: House, ask: Ask) -> Answer:
    url = f"http://127.0.0.1:{house.port}/v1/{ask.path}"
    try:
        async with asyncio.timeout(HANGS_S), session.post(url, json=ask.body()) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, headers, await response.read())
    except TimeoutError:
        raise AssertionError(f"{ask} hangs") from None


async def put_all(house: House, asks: list[Ask]) -> dict[Ask, Answer]:
    headers = {"Authorization": f"Bearer {house.keys[SLUG]}", "Host": "localhost"}
    connector = aiohttp.TCPConnector(limit=0)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(ask: Ask) -> Answer:
        async with contextlib.nullcontext() if ask.fault.name in WAITING else gate:
            return await put(session, house, ask)

    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        return dict(zip(asks, await asyncio.gather(*map(one, asks)), strict=True))


def prove(house: House, mock: MockLLM, bug: str = "", seed: int = 0, only: str = "") -> None:
    mock.reset()
    with house_with_bug(house, QUICK_POOL + bug) as running:
        asks = list_asks(seed, only) if only else sample(list_asks(seed))
        answers = asyncio.run(put_all(running, asks))
        ends, wrong = {}, []
        for ask, answer in answers.items():
            try:
                check_nothing_told(ask, answer, mock)
                ends[ask] = check_end(ask, answer)
            except (AssertionError, ValueError) as exc:
                wrong.append(f"{ask}: {exc}"[:500])
        assert not wrong, "\n".join(wrong)
        check_bills(ends, answers, mock)
        check_all_closed(running, mock)
        assert running.web.poll() is None
        after = running.post({"model": "mock", "messages": [{"role": "user", "content": "x"}]}, SLUG)
        assert after.status_code == 200, "the process lives on"


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_an_upstream_does_the_client_gets_an_end_and_the_books_are_right(house, upstream, seed):
    assert len(list_asks(seed)) > 650
    prove(house, upstream, seed=seed)


# -- planted bugs: what breaks, what asks for it, what the proof then says -----------------------------------

BUGS = {
    "nobody watches for silence": (
        "import gateway.answers.idle as i; i.IdleWatch._look = lambda watch: None",
        "fault-hang-after-header (chat/completions, streamed)",
        "hangs",
    ),
    "calls that failed are not booked": (
        "import gateway.steps.settle as s; real = s.settle\n"
        "async def settle(call, ledger):\n"
        "    if call.status != 'error': await real(call, ledger)\n"
        "s.settle = settle",
        "fault-reset-mid-stream",
        "not booked",
    ),
    "secrets pass": (
        "import gateway.answers.refusals as r; r.has_secret = lambda *_: False",
        "fault-echo-secret-mid-stream",
        "tells Zq7fR2mX",
    ),
    "addresses pass": (
        "import gateway.answers.refusals as r; r.hide_addresses = lambda text, endpoint: text",
        "fault-echo-address",
        "tells :",
    ),
    "reports are believed": (
        "import models_registry.providers.openai_compatible.usage as u; u.MOST_PLAUSIBLE_TOKENS = 10**20",
        "fault-huge-usage",
        "fault-huge-usage .*(status 500|ends with error)",
    ),
    "nobody closes": (
        "import gateway.steps.dispatch as d; kept = []; d._let_go = kept.append",
        "fault-open-after-done",
        "sockets are left open",
    ),
    "a stream just ends": (
        "import gateway.answers.frames as r; r.error_frame = lambda error: b''",
        "fault-cut-mid-stream",
        "no end",
    ),
    "an error in the middle of a message is left out": (
        "import gateway.operations.messages.events as e; e.error_event = lambda *_: b''",
        "fault-cut-mid-stream (messages, streamed)",
        "no end",
    ),
    "what fails is our fault": (
        "from foundation.errors import UpstreamError as e; e.http_status = 500",
        "fault-502",
        "status 500",
    ),
}


def asks_of_bugs(seed: int) -> Iterator[list[Ask]]:
    yield from (list_asks(seed, only) for _bug, only, _words in BUGS.values())


@pytest.mark.parametrize(("bug", "only", "words"), BUGS.values(), ids=BUGS)
def test_planted_bug_is_found_out(house, upstream, monkeypatch, bug, only, words):
    monkeypatch.setattr(sys.modules[__name__], "HANGS_S", LIMITS_S["first_byte_timeout_s"] + 1)
    for name in ("CLOSED_S", "BOOKED_S"):
        monkeypatch.setattr(misbehaviour_seen, name, 1)
    with pytest.raises(AssertionError, match=words):
        prove(house, upstream, bug, only=only)
