"""The catalogue that people see: rights, policies, figures, filters, and what 200 models cost to show."""

import re
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from accounts.services import create_project, grant, set_data_policy, set_project_member
from models_registry.examples import list_examples
from models_registry.first_models import FIRST_MODELS
from models_registry.kinds import ADDRESSES, ModelKind
from models_registry.offered import Health, judge, list_catalogue, measure
from models_registry.pages import PER_PAGE
from models_registry.services import set_model_price
from tenants.context import platform, tenant
from tenants.doors import hosts
from tenants.doors.hosts import find_tenant_by_slug
from tests.estate import make_event
from usage.selectors import Speed, measure_models

pytestmark = pytest.mark.django_db
LIST = "/models/"
LOCAL = "this installation's own network only"


def detail(model) -> str:
    return f"/models/{model.pk}/"


def catalogue(person) -> dict:
    door = find_tenant_by_slug("acme")
    return {entry.route.name: entry for entry in measure(list_catalogue(person, door))}


# -- who sees what -------------------------------------------------------------------------------------------


def test_a_model_is_shown_with_what_the_registry_knows_of_it(acme, bob, make):
    row = make.model(
        "big/model:1",
        label="Big <Model>",
        licence="Apache-2.0",
        context_window=128_000,
        capabilities=["tools", "vision"],
        notes="Reads pictures.",
        aliases=["big"],
    )
    make.price(row, input=Decimal("0.9"), output=Decimal(4))
    page = acme.login_as(bob).get(LIST).text
    assert (
        escape("Big <Model>") in page
        and "big/model:1" in page
        and "128,000" in page
        and re.search(r"90\sct in", page)
    )
    assert page.count("big</code>") == 0, "an alias is no model of its own"
    page = acme.get(detail(row)).text
    for text in (
        "Apache-2.0",
        "Reads pictures.",
        "Images",
        "128,000 tokens",
        "big</code>",
        "?model=big%2Fmodel%3A1",
    ):
        assert text in page, text


def test_what_is_granted_to_others_is_neither_listed_nor_opened(acme, alice, bob, make):
    mine, theirs = make.model("mine"), make.model("theirs")
    project = create_project(actor=None, name="Law")
    set_project_member(actor=None, project=project, user=alice, role="editor")
    grant(actor=None, kind="model", target=theirs.pk, project=project)
    grant(actor=None, kind="model", target=mine.pk, user=bob)
    assert "theirs" not in catalogue(bob) and "mine" in catalogue(bob)
    assert "theirs" in catalogue(alice), "who is a member of one project that may is shown it"
    acme.login_as(bob)
    assert "theirs" not in acme.get(LIST).text
    missing, foreign = acme.get(f"/models/{uuid4()}/"), acme.get(detail(theirs))
    assert missing.status_code == foreign.status_code == 404


def test_the_palette_finds_the_models_that_one_may_use(acme, alice, bob, make):
    row, closed = make.model("big-one", label="Big One"), make.model("big-other")
    grant(actor=None, kind="model", target=closed.pk, user=alice)
    acme.login_as(bob)
    found = acme.get(f"{LIST}?as=options&q=big").text
    assert re.findall(r'<a [^>]*href="([^"]+)"', found) == [detail(row)] and ">Big One<" in found
    assert "<a " not in acme.get(f"{LIST}?as=options&q=").text
    assert acme.login_as(alice).get(f"{LIST}?as=options&q=big").text.count("<a ") == 2


def test_what_the_house_says_of_its_first_models_is_in_the_readers_language(acme, bob, make):
    first = FIRST_MODELS["SmolLM2-135M-Instruct"]
    with platform():
        home = make.connection(
            "Runtime", kind="embedded", base_url="http://127.0.0.1:9101", allow_private=True
        )
        row = make.model("smol", home, upstream_name="SmolLM2-135M-Instruct", notes=first.notes)
        other = make.model("other", home, upstream_name="atrium-tiny", notes="An operator's own words.")
    bob.language = "de"
    bob.save()
    page = acme.login_as(bob).get(detail(row)).text
    assert "English only" not in page and "Nur Englisch" in page
    assert "An operator&#x27;s own words." in acme.get(detail(other)).text


def test_another_tenants_models_and_calls_stay_theirs(acme, bob, charlie, make):
    with tenant("globex"):
        theirs = make.model("of-globex")
        make_event(charlie, model="shared", latency_ms=2_000, first_token_ms=1_234, output_tokens=50)
    make.model("shared")
    acme.login_as(bob)
    assert acme.get(detail(theirs)).status_code == 404 and "of-globex" not in acme.get(LIST).text
    assert catalogue(bob)["shared"].speed == Speed()


def test_the_platforms_models_are_shown_beside_the_organisations_own(acme, bob, make):
    with platform():
        offered = make.model("of-the-platform", licence="MIT")
    own = make.model("own")
    page = acme.login_as(bob).get(LIST).text
    assert "of-the-platform" in page and "own" in page
    assert "MIT" in acme.get(detail(offered)).text
    assert "/admin/models_registry/model/" not in acme.get(detail(offered)).text
    assert acme.get(detail(own)).status_code == 200


def test_what_the_data_policy_forbids_is_shown_and_said(acme, bob, make, set_acme):
    row = make.model("elsewhere")
    set_acme(data_policy="local")
    acme.login_as(bob)
    assert (
        "Not allowed here. Data policy: this installation’s own network only".replace("’", "&#x27;")
        in acme.get(LIST).text
    )
    page = acme.get(detail(row)).text
    assert escape(f"not allowed where you work. Data policy: {LOCAL}.") in page and "Begin a chat" not in page


def test_what_is_promised_counts_no_stand_in_that_the_person_may_not_use(acme, alice, bob, make, set_acme):
    """Nor one that they may use in another project, where the model itself is not theirs."""
    here = make.model("here", make.connection("Here", location="eu"))
    first = make.model("first", make.connection(location="us"), fallbacks=["here"])
    set_acme(data_policy="eu")
    assert catalogue(bob)["first"].policies == ()
    law, art = (create_project(actor=None, name=name) for name in ("Law", "Art"))
    for project in (law, art):
        set_project_member(actor=None, project=project, user=bob, role="editor")
    grant(actor=None, kind="model", target=here.pk, project=art)
    assert catalogue(bob)["first"].policies == (), "both in Art"
    grant(actor=None, kind="model", target=first.pk, project=law)
    assert catalogue(bob)["first"].policies == ("eu",)
    assert "first" not in catalogue(alice)
    assert "Begin a chat" not in acme.login_as(bob).get(detail(first)).text


def test_each_policy_that_forbids_a_model_is_named_once(acme, bob, make, set_acme):
    row = make.model("elsewhere", make.connection(location="us"))
    set_acme(data_policy="eu")
    for name, policy in (("A", "eu"), ("B", "local"), ("C", "+unstored")):
        project = create_project(actor=None, name=name)
        set_data_policy(actor=None, project=project, data_policy=policy)
        set_project_member(actor=None, project=project, user=bob, role="editor")
        grant(actor=None, kind="model", target=row.pk, project=project)
    assert sorted(catalogue(bob)["elsewhere"].policies) == ["eu", "eu+unstored", "local"]
    page = acme.login_as(bob).get(detail(row)).text
    assert page.count("European Union only;") == 1 and escape(LOCAL) in page


def test_who_may_change_models_is_led_there(acme, alice, bob, make):
    row = make.model("own")
    change = f"/admin/models_registry/model/{row.pk}/change/"
    assert change in acme.login_as(alice).get(detail(row)).text
    assert change not in acme.login_as(bob).get(detail(row)).text


def test_an_organisation_without_models_is_told_where_they_come_from(acme, alice, bob):
    assert "An administrator of your organisation" in acme.login_as(bob).get(LIST).text
    assert "Models come with a connection" in acme.login_as(alice).get(LIST).text


def test_what_a_model_never_writes_costs_nothing_in_words(acme, bob, make):
    row = make.model("vectors", kind="embedding")
    set_model_price(actor=None, model=row, input=Decimal("0.5"))
    acme.login_as(bob)
    for path in (LIST, detail(row)):
        page = acme.get(path).text
        assert "50\N{NO-BREAK SPACE}ct per million tokens" in page and "out per million" not in page


# -- figures -------------------------------------------------------------------------------------------------


def test_speeds_are_medians_of_the_last_streamed_answers(bob):
    for first_ms, latency_ms, written in ((100, 1_100, 50), (300, 1_300, 100), (900, 1_900, 400)):
        make_event(
            bob, model="m", first_token_ms=first_ms, latency_ms=latency_ms, quantities={"output": written}
        )
    make_event(bob, model="m", first_token_ms=5_000, latency_ms=5_000)  # came in one piece
    make_event(bob, model="m", first_token_ms=9, latency_ms=9_000, status="cancelled")
    old = timezone.now() - timedelta(days=8)
    make_event(bob, model="m", first_token_ms=9, latency_ms=9_000, output_tokens=999, created_at=old)
    make_event(bob, model="short", first_token_ms=200, latency_ms=1_200, output_tokens=2)
    found = measure_models(["m", "short", "never"])
    assert found["m"] == Speed(300, 100, 5, 0)
    assert found["short"] == Speed(200, None, 1, 0)
    assert "never" not in found


def test_reasoning_is_written_too(bob):
    used = {"output": 20, "reasoning": 80}
    make_event(bob, model="m", first_token_ms=0, latency_ms=1_000, quantities=used)
    assert measure_models(["m"])["m"].tokens_per_s == 100


def test_a_model_is_well_as_its_last_calls_were(bob):
    now = timezone.now()
    for number in range(7):
        code = {} if number < 2 else {"status": "error", "error_code": "upstream_error"}
        make_event(bob, model="ill", created_at=now - timedelta(minutes=60 - number), **code)
    make_event(bob, model="asked", status="error", error_code="invalid_request_error")
    found = measure_models(["ill", "asked"])
    assert (found["ill"].calls, found["ill"].failures) == (5, 5)
    assert judge(found["ill"], []) == Health.DOWN
    assert judge(found["asked"], []) == Health.GOOD, "a request that was wrong is no failure of the model's"
    assert judge(Speed(calls=5, failures=1), []) == Health.UNSTEADY
    assert judge(Speed(), []) == Health.UNKNOWN


# -- looking for one -----------------------------------------------------------------------------------------


def names(client, query: str) -> list[str]:
    return [entry.route.name for entry in client.get(f"{LIST}?{query}").context["page"]]


@pytest.fixture
def three(make):
    """A cheap one that calls tools, a dear one for letters, and vectors that nobody priced."""
    cheap = make.model(
        "cheap", context_window=8_000, capabilities=["tools", "own-word"], languages=["zh", "de"]
    )
    make.price(cheap, input=Decimal("0.1"), output=Decimal("0.1"))
    dear = make.model("dear", label="A dear one", context_window=200_000, notes="for letters")
    make.price(dear)
    return cheap, dear, make.model("vectors", kind="embedding")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["dear", "cheap", "vectors"]),
        ("sort=-name", ["vectors", "cheap", "dear"]),
        ("sort=price", ["cheap", "dear", "vectors"]),
        ("sort=-price", ["dear", "cheap", "vectors"]),
        ("sort=context", ["cheap", "dear", "vectors"]),
        ("sort=-context", ["dear", "cheap", "vectors"]),
        ("kind=embedding", ["vectors"]),
        ("can=tools", ["cheap"]),
        ("language=de", ["cheap"]),
        ("language=nl", ["dear", "cheap", "vectors"]),  # offered by nobody
        ("q=LETTERS+for", ["dear"]),
        ("q=nothing", []),
    ],
)
def test_filters_and_order_are_in_the_address(acme, bob, three, query, found):
    """What nobody knows of a model comes last, upwards and downwards."""
    assert names(acme.login_as(bob), query) == found


def test_the_order_of_speeds_is_that_of_all_models_not_of_a_page(acme, bob, three, monkeypatch):
    monkeypatch.setattr("models_registry.pages.PER_PAGE", 1)
    for name, first_ms in (("dear", 300), ("cheap", 900)):
        make_event(bob, model=name, first_token_ms=first_ms, latency_ms=first_ms + 1_000, output_tokens=100)
    acme.login_as(bob)
    assert [names(acme, f"sort=-first&page={page}") for page in (1, 2, 3)] == [
        ["cheap"],
        ["dear"],
        ["vectors"],
    ]
    assert names(acme, "sort=first") == ["dear"]
    assert "0.30" in acme.get(LIST).text, "the page's own models are measured in any order"


def test_filters_in_force_are_said_in_words_and_taken_away_one_by_one(acme, bob, three):
    acme.login_as(bob)
    page = acme.get(f"{LIST}?q=cheap&kind=chat&can=tools&sort=-price&page=1")
    assert [one["label"] for one in page.context["applied"]] == [
        "Search: “cheap”",
        "Kind: Chat",
        "Ability: Tools",
    ]
    assert page.context["applied"][1]["url"] == "?q=cheap&can=tools&sort=-price"
    assert page.context["clear_url"] == "?sort=-price"
    assert "1 of 3 models" in page.text
    everything = acme.get(LIST).text
    assert "3 models" in everything and "3 of 3" not in everything
    assert '<input type="hidden" name="sort" value="-price"' in page.text, "a new filter keeps the order"
    assert acme.get(f"{LIST}?can=own-word").context["applied"][0]["label"] == "Ability: own-word"
    assert acme.get(LIST).context["applied"] == []
    bob.language = "de"
    bob.save()
    page = acme.get(f"{LIST}?language=zh")
    assert [one["label"] for one in page.context["applied"]] == ["Sprache: Chinesisch"]
    choices = page.context["form"].fields["language"].choices
    assert choices == [("", "beliebig"), ("zh", "Chinesisch"), ("de", "Deutsch")], "by name, not by code"


def test_a_filter_offers_what_leads_to_something(acme, bob, make):
    make.model("one")
    form = acme.login_as(bob).get(LIST).context["form"]
    assert [value for value, _label in form.fields["kind"].choices] == ["", "chat"]
    assert not {"can", "language"} & form.fields.keys(), "no model says what it can, or in which languages"


def test_nothing_found_leads_back(acme, bob, three):
    page = acme.login_as(bob).get(f"{LIST}?q=nothing&sort=price").text
    assert "No model fits" in page and 'href="?sort=price"' in page and "<table" not in page


def test_a_long_catalogue_comes_in_pages(acme, bob, make):
    connection_row = make.connection()
    for number in range(PER_PAGE + 1):
        make.model(f"m-{number:03}", connection_row)
    acme.login_as(bob)
    last_name = f"m-{PER_PAGE:03}"
    assert f"{PER_PAGE + 1} of {PER_PAGE + 1} models" in (first := acme.get(f"{LIST}?q=m").text)
    assert "m-000" in first and "q=m&amp;page=2" in first and last_name not in first
    assert last_name in (last := acme.get(f"{LIST}?q=m&page=2").text) and "m-000" not in last
    assert last_name in acme.get(f"{LIST}?page=999").text, "beyond the end is the end"


@pytest.mark.parametrize(
    "query",
    ["page=x", "kind=x", "can=%00", "language=1", "place=%F0%9F", "sort=__class__", "q=" + "x" * 5_000],
)
def test_any_query_is_answered(acme, bob, make, query):
    make.model("one")
    assert acme.login_as(bob).get(f"{LIST}?{query}").status_code == 200


def test_a_long_catalogue_takes_no_more_queries_than_a_short_one(acme, bob, make):
    make.price(make.model("model-0"))
    acme.login_as(bob).get(LIST)

    def count() -> int:
        hosts.forget()  # else a second decides whether the door is asked for again
        with CaptureQueriesContext(connection) as queries:
            assert acme.get(LIST).status_code == 200
        return len(queries)

    few = count()
    for number in range(1, 12):
        make.price(make.model(f"model-{number}"))
    assert count() == few


# -- examples ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ModelKind)
def test_what_is_served_has_an_example(acme, bob, make, kind):
    """Whether it is answered: tests/gateway/test_examples.py."""
    row = make.model("mine", kind=kind)
    page = acme.login_as(bob).get(detail(row)).text
    assert ("How is it called from a program?" in page) is (kind in ADDRESSES)
    # the name below .localhost is one that Python does not find everywhere
    for example in list_examples(catalogue(bob)["mine"].route, "http://localhost/v1"):
        assert "http://localhost/v1" in example.code and escape(example.code) in page
