"""S42: what a server remembers of one tenant's prompts does not serve another, who could tell from the time
to the first token what was asked.

Every request to a server that knows it (vLLM, the embedded runtime) carries a `cache_salt` of its tenant,
which nobody chooses and nobody can make up; other servers get none of ours. The embedded runtime shares
nothing at all: the same prompt is read in full each time, counted by the tokens that its model is fed.
"""

import contextlib
import hashlib
import hmac
import re
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.conf import settings

from tests.live import TENANTS, House, house_with_bug
from tests.runtimes.conftest import MODELS, run_server, wait_until

pytestmark = [pytest.mark.scope(None), pytest.mark.timeout(300)]
KNOWING, OTHERS = ("vllm", "embedded"), ("openai_compatible", "openai")
LOADS_S = 120  # far more than it takes, on a busy machine too
FORMS = ("streamed", "whole", "embeddings", "tried again")


@contextlib.contextmanager
def connected(name: str, kind: str, base_url: str, models: dict[str, tuple[str, str]]) -> Iterator[None]:
    """A connection of the platform's for the length of the block; `models`: name → (upstream's, kind)."""
    from models_registry.services import add_connection, add_model, remove_connection, set_model_price
    from tenants.context import platform

    with platform():
        connection = add_connection(actor=None, name=name, kind=kind, base_url=base_url, allow_private=True)
        for name, (upstream_name, model_kind) in models.items():
            row = add_model(
                actor=None, connection=connection, name=name, upstream_name=upstream_name, kind=model_kind
            )
            output = {"output": Decimal(2)} if model_kind == "chat" else {}
            set_model_price(actor=None, model=row, input=Decimal(1), **output)
    try:
        yield
    finally:
        with platform():
            remove_connection(actor=None, connection=connection, force=True)


@pytest.fixture(scope="module")
def servers(house, django_db_blocker):
    """The mock as a server of each kind."""
    with django_db_blocker.unblock(), contextlib.ExitStack() as stack:
        for kind in (*KNOWING, *OTHERS):
            models = {
                f"s42-{kind}-chat": ("mock", "chat"),
                f"s42-{kind}-flaky": ("fault-flaky-2", "chat"),
                f"s42-{kind}-embedding": ("mock-embedding", "embedding"),
            }
            stack.enter_context(connected(f"s42-{kind}", kind, house.mock.base_url, models))
        yield


def ask(house: House, slug: str, kind: str, form: str, more: dict) -> None:
    if form == "embeddings":
        body, path = {"model": f"s42-{kind}-embedding", "input": "hello", **more}, "embeddings"
    else:
        model = f"s42-{kind}-{'flaky' if form == 'tried again' else 'chat'}"
        messages = [{"role": "user", "content": "hello"}]
        body, path = (
            {"model": model, "stream": form == "streamed", "messages": messages, **more},
            ("chat/completions"),
        )
    assert house.post(body, slug, path).status_code == 200, f"{kind}, {form}"


def salts_of(house: House, slug: str, kind: str, form: str, **more) -> list[str | None]:
    """What the server was told at each attempt of one call."""
    house.mock.reset()
    ask(house, slug, kind, form, more)
    entries = house.mock.ledger()
    assert len(entries) == (3 if form == "tried again" else 1)
    return [entry["body"].get("cache_salt") for entry in entries]


def salt_of(slug: str, secret: str = "") -> str:
    """As django.utils.crypto.salted_hmac makes it."""
    key = hashlib.sha256(b"gateway.cache_salt" + (secret or settings.SECRET_KEY).encode()).digest()
    return hmac.new(key, slug.encode(), "sha256").hexdigest()


def prove(house: House) -> None:
    one, other = (salt_of(slug) for slug in TENANTS)
    for slug in TENANTS:
        for kind in KNOWING:
            for form in FORMS:
                for chosen in ({"cache_salt": "mine"}, {}, {"cache_salt": other}, {"cache_salt": one}):
                    found = set(salts_of(house, slug, kind, form, **chosen))
                    assert found == {salt_of(slug)}, f"{slug}, {kind}, {form}, {chosen}: {found}"
                    if form == "tried again":
                        break  # it takes a second
        for kind in OTHERS:
            for form in FORMS:
                assert set(salts_of(house, slug, kind, form)) == {None}, f"{kind}, {form}: a salt"
    assert one != other and re.fullmatch("[0-9a-f]{64}", one)


def test_each_tenant_has_a_salt_of_its_own_and_nobody_chooses_it(house, servers):
    prove(house)


BUGS = {
    "one salt for all": (
        "import gateway.steps.identifiers as i\n"
        "real = i.cache_salt; i.cache_salt = lambda tenant: real('all')",
        "live-one, vllm",
    ),
    "a salt that anybody can make": (
        "import hashlib, gateway.steps.identifiers as i\n"
        "i.cache_salt = lambda tenant: hashlib.sha256(tenant.encode()).hexdigest()",
        "live-one, vllm",
    ),
    "a client's own salt counts": (
        "import orjson, gateway.operations.body as b, gateway.steps.dispatch as d; real = d.upstream_body\n"
        "b.NOT_PASSED_ON = ()\n"
        "def upstream_body(call, *rest):\n"
        "    own = call.body.get('cache_salt')\n"
        "    body = orjson.loads(real(call, *rest))\n"
        "    return orjson.dumps({**body, 'cache_salt': own} if own else body)\n"
        "d.upstream_body = upstream_body",
        "'cache_salt': 'mine'",
    ),
    "one kind is forgotten": (
        "from models_registry.providers.embedded import Embedded; Embedded.knows_cache_salt = False",
        "live-one, embedded",
    ),
    "everybody is told": (
        "from models_registry.providers.openai_compatible import OpenAICompatible as o\n"
        "o.knows_cache_salt = True",
        "openai.*: a salt",
    ),
}


@pytest.mark.parametrize(("bug", "words"), BUGS.values(), ids=BUGS)
def test_planted_bug_is_found_out(house, servers, bug, words):
    with house_with_bug(house, bug) as careless, pytest.raises(AssertionError, match=words):
        prove(careless)


def test_the_salt_hangs_on_the_installations_secret(house, servers):
    secret = "another secret of some fifty letters, 0123456789 and more"
    with house_with_bug(house, "pass", ATRIUM_SECRET_KEY=secret) as elsewhere:
        assert salts_of(elsewhere, TENANTS[0], "vllm", "whole") == [salt_of(TENANTS[0], secret)]


# -- the embedded runtime ------------------------------------------------------------------------------------

# The server, which tells on /health as `steps` how many tokens its model was fed
FEEDING = """
from runtimes.ml import server, shelf
fed = []
def note(model, arguments, named):
    fed.append(int((named.get("input_ids") if named.get("input_ids") is not None else arguments[0]).numel()))
def import_counting_engines(threads, real=shelf._import_engines):
    engines = real(threads)
    from runtimes.ml import engine
    start_manager = engine._start_manager
    def start_counted(model, *arguments, **options):
        model.register_forward_pre_hook(note, with_kwargs=True)
        return start_manager(model, *arguments, **options)
    engine._start_manager = start_counted
    {bug}
    return engines
shelf._import_engines = import_counting_engines
report_one = shelf.ModelShelf._report_one
shelf.ModelShelf._report_one = lambda self, folder: report_one(self, folder) | {{"steps": sum(fed)}}
server.main()
"""
SHARING = (
    "real_config = engine.ContinuousBatchingConfig; engine.ContinuousBatchingConfig = "
    "lambda **options: real_config(**{**options, 'allow_block_sharing': True})"
)
PROMPT = "What can you do? " * 40  # several pages of the server's memory
MODEL = "s42-tiny"


def prove_nothing_is_shared(house: House, bug: str = "pass") -> None:
    with run_server("--models", str(MODELS), "--preload", program=FEEDING.format(bug=bug)) as server:
        wait_until(lambda: server.health()["status"] == "ready", LOADS_S, "the model does not load")
        models = {MODEL: ("atrium-tiny", "chat")}
        with connected("s42", "embedded", f"{server.url}/v1", models):
            found = [fed_for(house, server, slug) for slug in (*TENANTS, *TENANTS)]
    prompt_tokens = found[0]["prompt"]
    assert prompt_tokens > 200 and all(one["prompt"] == prompt_tokens for one in found)
    assert all(one["cached"] == 0 for one in found), f"cached tokens are reported: {found}"
    assert all(one["fed"] == found[0]["fed"] >= prompt_tokens for one in found), (
        f"something is shared: {found}"
    )


def fed_for(house: House, server, slug: str) -> dict[str, int]:
    before = server.count_steps()
    body = {"model": MODEL, "max_tokens": 8, "messages": [{"role": "user", "content": PROMPT}]}
    answer = house.post(body, slug)
    assert answer.status_code == 200, answer.text
    server.wait_until_idle()
    usage = answer.json()["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    return {"prompt": usage["prompt_tokens"], "cached": cached, "fed": server.count_steps() - before}


def test_the_embedded_runtime_reads_each_prompt_anew(house, django_db_blocker):
    with django_db_blocker.unblock():
        prove_nothing_is_shared(house)


def test_planted_bug_a_runtime_that_shares_prefixes_is_found_out(house, django_db_blocker):
    with django_db_blocker.unblock(), pytest.raises(AssertionError, match="something is shared"):
        prove_nothing_is_shared(house, SHARING)
