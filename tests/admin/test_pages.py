"""Every page of the administrations: in three languages, with a stored number of queries, without anyone's
words, and safe to show.
"""

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.staticfiles import finders
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext, override

from accounts.models import User
from accounts.services import (
    allow_web_origin,
    create_api_key,
    create_project,
    create_role,
    create_user,
    grant,
    set_limit,
)
from foundation.icons import SPRITE
from foundation.spacing import cjk_spaced
from models_registry.services import add_connection, add_model, set_model, set_model_price
from prompts.models import Conversation
from rag.intake import add_file
from rag.services import create_collection
from tenants.doors import hosts
from tenants.work.services import order
from tests import work_kinds
from tests.admin.nameless import find_nameless
from tests.admin.query_counts import CHANGELISTS
from tests.admin.raw_values import find_raw
from tests.estate import PROVIDER, make_estate, make_event, make_file, make_people, make_platform_estate
from tests.page_words import assert_no_wrong_words, find_wrong_words, names_in
from tests.permissions import SERVICE, SYSTEM, WITHOUT_PAGE
from tests.routes import PLATFORM, TENANT
from usage.services import change_budget, set_budget

pytestmark = pytest.mark.django_db
EVIL = "<script>alert(1)<b/onclick=x>[x](javascript:1)"


def addresses(site: str, table: dict, urlconf: str, estate) -> list[str]:
    """The start page and every list, form and history."""
    found = [reverse(f"{site}:index", urlconf=urlconf)]
    for name, (item, _view, add, _change, _delete, _actions) in table.items():
        found.append(reverse(f"{site}:{name}_changelist", urlconf=urlconf))
        if add:
            found.append(reverse(f"{site}:{name}_add", urlconf=urlconf))
        if name not in WITHOUT_PAGE:
            found += [
                reverse(f"{site}:{name}_{page}", args=[getattr(estate, item).pk], urlconf=urlconf)
                for page in ("change", "history")
            ]
    return found


def make_ugly(estate, alice):
    """With what is hard to show: a failed call with lost attempts, odd prices and budgets."""
    lost = {"upstream_model": "mock", "error_code": "upstream_timeout", "latency_ms": 120, "cost": "0.25"}
    estate.event = make_event(
        alice,
        status="error",
        error_code="upstream_timeout",
        endpoint="chat.completions",
        source="chat",
        cost=Decimal("0.000123"),
        price_snapshot={"currency": "EUR", "input": "0.0000015", "output": "6"},
        attempts=[lost],
    )
    set_model_price(actor=None, model=estate.model, input=Decimal("0.000001"), output=Decimal("1000000"))
    set_model(actor=None, model=estate.model, context_window=1_047_576, retire_on=date(2031, 1, 1))
    change_budget(actor=None, budget=estate.budget, limit=Decimal("1234.5"))
    return estate


def missing_icons(page: str) -> set[str]:
    """Those that a page draws and the sprite has not, and names that unfold's font would draw."""
    sprite = Path(finders.find(SPRITE)).read_text()
    drawn = set(re.findall(rf'href="[^"]*{SPRITE}#([^"]*)"', page))
    left = set(re.findall(r'class="[^"]*(?<![\w:-])material-symbols[^>]*>\s*([^<]*)<', page))
    assert drawn
    return (drawn - set(re.findall(r'<symbol id="([^"]+)"', sprite))) | left


@pytest.mark.parametrize(
    "page",
    [
        "<td>('ok', '0 %')</td>",
        "<td>(&#x27;ok&#x27;, &#x27;0 %&#x27;)</td>",
        "<p>None</p>",
        '<input type="text" value="0.150000000000">',
        '<input value="1E-12">',
        '<td title="2026-11-30T08:00:00+00:00">now</td>',
        "<li>Constraint “usage_budget_never_overspent” is violated.</li>",
        "<td>upstream_timeout</td>",
        "<td>Decimal('1')</td>",
        "<script>x</script><td>datetime.datetime(2026, 1, 1)</td>",
        "<th>Day (UTC)</th>",
    ],
)
def test_a_raw_value_is_found(page):
    assert find_raw(page)


@pytest.mark.parametrize(
    "page",
    [
        '<label>Name</label><input id="id_name">',
        "<button><svg></svg></button>",
        '<a href="/"><span class="icon"></span></a>',
        '<img src="x">',
        '<p id="a"></p><p id="a"></p>',
        '<input aria-labelledby="nobody">',
        '<select name="level"></select>',
    ],
)
def test_what_has_no_name_is_found(page):
    assert find_nameless(page)


@pytest.mark.parametrize("language", ["de", "en", "zh-hans"])
def test_all_pages_of_the_service_administration_work(acme, alice, language):
    estate = make_ugly(make_estate(alice), alice)
    look_at_pages(acme.login_as(alice), "service", estate, language)


@pytest.mark.parametrize("language", ["de", "en", "zh-hans"])
def test_all_pages_of_the_system_administration_work(on_platform, olga, language):
    estate = make_platform_estate(olga)
    look_at_pages(on_platform.login_as(olga), "system", estate, language)


def look_at_pages(client, site: str, estate, language: str) -> None:
    """Each page once: its words, its values, its icons, and by which name it calls what it is about."""
    table, urlconf = (SERVICE, TENANT) if site == "service" else (SYSTEM, PLATFORM)
    names, found, pages = names_in(estate), {}, {}
    for address in addresses(site, table, urlconf, estate):
        pages[address] = response = client.get(address, headers={"accept-language": language})
        assert (response.status_code, response["Content-Language"]) == (200, language), address
        found[address] = find_wrong_words(response.content.decode(), language, names)
        assert find_raw(response.content.decode()) == [], address
        assert not missing_icons(response.content.decode()), address
        found[address] += find_nameless(response.content.decode())
    assert_no_wrong_words(found)
    for name, (item, _view, add, _change, delete, _actions) in table.items():
        base = f"{site}:{name}"
        listed = pages[reverse(f"{base}_changelist", urlconf=urlconf)]
        check_title(listed, name, language)
        check_count(listed, name, language)
        if add:
            check_form(listed, pages[reverse(f"{base}_add", urlconf=urlconf)], name, language)
        if delete and site == "service" and name not in WITHOUT_PAGE:
            pk = getattr(estate, item).pk
            check_button(listed, pages[reverse(f"{base}_change", args=[pk], urlconf=urlconf)], name, language)


def check_title(listed, name: str, language: str) -> None:
    """A list is titled as the menu names it."""
    (entry,) = [
        item for group in listed.context["sidebar_navigation"] for item in group["items"] if item["active"]
    ]
    title = re.search(r"<title>\s*(.*?) ·", listed.content.decode(), re.DOTALL)[1]
    with override(language):
        assert title == entry["title"] and "auswählen" not in title, name


def nouns_of(listed, language: str) -> tuple[str, str]:
    """What one object and several are called."""
    options = listed.context["cl"].opts
    with override(language):
        return str(options.verbose_name), str(options.verbose_name_plural)


def check_count(listed, name: str, language: str) -> None:
    """The count below a list."""
    count, nouns = listed.context["cl"].result_count, nouns_of(listed, language)[1]
    if listed.context["cl"].paginator.__class__.__name__ == "Paginator" and count > 1:
        said = f"{count} 个{nouns}" if language == "zh-hans" else f"{count} {nouns}"
        assert f"{said}</div>" in re.sub(r"\s*([<>])\s*", r"\1", listed.content.decode()), name


def check_form(listed, page, name: str, language: str) -> None:
    """The heading of what is added, and where the form's buttons stand."""
    noun, text = nouns_of(listed, language)[0], page.content.decode()
    with override(language):
        title = cjk_spaced(gettext("Add %s") % noun)
    assert capfirst(title) in re.search(r"<h1.*?</h1>", text, re.DOTALL)[0], name
    assert f'form="{listed.context["cl"].opts.model_name}_form"' in text, "its buttons stand outside the form"


def check_button(listed, page, name: str, language: str) -> None:
    """The button that deletes."""
    noun = nouns_of(listed, language)[0]
    with override(language):
        button = cjk_spaced(gettext("Delete %(name)s") % {"name": noun})
        wrong = f"{gettext('Delete')} {noun}"
    text = " ".join(page.content.decode().split())
    assert f"> {button} <" in text and (button == wrong or f"> {wrong} <" not in text), name


def test_an_entry_of_the_audit_log_names_its_object_in_words(acme, alice):
    entry = make_estate(alice).entry
    address = reverse("service:auditlog_logentry_change", args=[entry.pk], urlconf=TENANT)
    page = acme.login_as(alice).get(address).content.decode()
    noun = capfirst(str(entry.content_type.name))
    assert f"{entry.object_repr} · {noun}" in page and "[&#x27;" not in page


def test_the_palette_finds_web_origins_by_what_people_look_for(acme, alice):
    acme.login_as(alice)
    for text in ("CORS", "browser", "origin"):
        found = acme.get(reverse("service:search", urlconf=TENANT), {"s": text}).content.decode()
        assert "Web origins" in found, text
    page = acme.get(reverse("service:local_weborigin_add", urlconf=TENANT)).content.decode()
    assert "CORS" in page and "browser" in page


def test_a_list_of_bookings_dates_them_in_the_readers_form(acme, alice):
    moment = timezone.now().replace(year=2026, month=11, day=2, hour=17, minute=26, second=40)
    make_event(alice, created_at=moment)
    acme.login_as(alice)
    for language, text in (
        ("de", "2. Nov. 2026, 17:26:40"),
        ("en", "Nov 2, 2026, 17:26:40"),
        ("zh-hans", "2026年11月2日 17:26:40"),
    ):
        assert (
            text
            in acme.get(
                reverse("service:usage_usageevent_changelist", urlconf=TENANT),
                headers={"accept-language": language},
            ).content.decode()
        )


def test_an_auditor_looks_at_everything_and_changes_nothing(acme):
    people = make_people("acme")
    estate = make_estate(people["user"])
    acme.login_as(people["auditor"])
    for name, (item, *_rest) in SERVICE.items():
        if name not in WITHOUT_PAGE:
            page = acme.get(
                reverse(f"service:{name}_change", args=[getattr(estate, item).pk], urlconf=TENANT)
            ).content.decode()
            assert 'name="_save"' not in page and "deletelink" not in page, name
            assert find_raw(page) == [], name
            assert not re.search(
                r'<(input|select|textarea)[^>]*name="(name|email|limit|rights|secret|base_url)"', page
            ), name


def grow(alice) -> None:
    """Twelve of everything that a list shows."""
    for number in range(12):
        person = create_user(
            actor=None, email=f"p{number}@acme.example", name=f"Person {number}", roles=["user"]
        )
        project = create_project(actor=None, name=f"Project {number}")
        create_api_key(actor=None, user=person, name="k", project=project)
        create_role(actor=None, name=f"role {number}", permissions=[])
        allow_web_origin(actor=None, origin=f"https://p{number}.example.org")
        link = add_connection(actor=None, name=f"Connection {number}", **PROVIDER)
        add_model(actor=None, connection=link, name=f"model-{number}")
        grant(actor=None, kind="model", target=f"model-{number}", user=person)
        set_limit(actor=None, level="user", subject_id=person.pk, measure="calls_at_once", amount=9)
        set_budget(actor=None, level="user", subject_id=person.pk, limit=Decimal(1))
        make_event(person, project_id=project.pk, model=f"m{number}")
        collection = create_collection(actor=None, name=f"Collection {number}")
        add_file(actor=None, collection=collection, file=make_file(person))
        Conversation.objects.create(user=person, title="t", last_message_at=person.created_at)
        order(work_kinds.NOTE)


ONE_ROW = {"rag_ragflowaccount"}  # of which a tenant has one at most


def queries_of_lists(client, site: str, names: Iterable[str], urlconf: str) -> dict[str, int]:
    """How many queries the start page and each list take."""
    counts = {}
    for name in ("index", *names):
        address = reverse(
            f"{site}:{name}" if name == "index" else f"{site}:{name}_changelist", urlconf=urlconf
        )
        # what is remembered of a tenant for a second would make the number depend on the clock
        hosts.forget()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        counts[name] = len(queries)
    return counts


def test_lists_take_a_constant_number_of_queries(acme, alice):
    make_estate(alice)
    acme.login_as(alice)
    models = {name: apps.get_model(*name.rsplit("_", 1)) for name in SERVICE}
    one = queries_of_lists(acme, "service", SERVICE, TENANT)
    rows = {name: model.objects.count() for name, model in models.items()}
    grow(alice)
    for name, model in models.items():
        if name in ONE_ROW:
            continue
        assert model.objects.count() >= rows[name] + 12, f"`grow` adds nothing that {name} shows"
    for name, count in queries_of_lists(acme, "service", SERVICE, TENANT).items():
        assert count <= one[name] + 1, f"{name} takes {one[name]} queries for one row, {count} for many"
        assert count <= (allowed := CHANGELISTS[f"service:{name}"]), (
            f"{name} takes {count} queries; tests/admin/query_counts.py allows {allowed}"
        )


@pytest.mark.scope("platform")
def test_the_platforms_lists_take_a_stored_number_of_queries(on_platform, olga):
    make_platform_estate(olga)
    on_platform.login_as(olga)
    for name, count in queries_of_lists(on_platform, "system", SYSTEM, PLATFORM).items():
        assert count <= CHANGELISTS[f"system:{name}"], f"{name} takes {count} queries"


def test_pages_show_nobodys_words_no_markup_of_others_and_no_script_of_their_own(acme, alice):
    """Neither titles nor messages, neither in lists nor in the audit log; nothing that a person or a model
    writes is ever HTML or Markdown here. The policy would block a page's own script; tests/e2e looks with a
    browser.
    """
    estate = make_estate(alice, f"hidden-words{EVIL}")
    User.objects.filter(pk=alice.pk).update(name=EVIL)
    make_event(alice, model=EVIL, error_code=EVIL, status="error")
    acme.login_as(alice)
    for address in addresses("service", SERVICE, TENANT, estate):
        page = acme.get(address).content.decode()
        assert "Title hidden-words" not in page and "Text hidden-words" not in page, address
        assert "sk-hidden-words" not in page and estate.key_text.rsplit("_", 1)[1] not in page, address
        assert "<script>alert" not in page and "<b/onclick" not in page, address
        assert 'href="javascript:' not in page, address
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", page), address
        assert not re.search(r"<[a-z][^>]*\son(click|change|submit|load|error)=", page), address


def test_the_pages_carry_the_administrations_policy(acme, alice):
    policy = acme.login_as(alice).get("/admin/")["Content-Security-Policy"]
    assert (
        "script-src 'self' 'unsafe-eval'" in policy
        and "default-src 'none'" in policy
        and "unsafe-inline" not in policy.split("style-src")[0]
    )


def test_tooltips_of_charts_stand_in_one_line(acme, alice):
    """A browser shows the white space in an SVG's title as it is."""
    make_estate(alice)
    acme.login_as(alice)
    for path in ("/usage/", "/admin/"):
        titles = re.findall(r"<g[^>]*>\s*<title>(.*?)</title>", acme.get(path).content.decode(), re.DOTALL)
        assert titles and [title for title in titles if "\n" in title or "  " in title] == [], path


def test_what_the_keyboard_and_the_ear_need_is_there(acme, alice):
    """Buttons for the palette, the side menu and one's own menu; mute icons; a way past the menu."""
    make_estate(alice)
    acme.login_as(alice)
    page = acme.get("/admin/models_registry/model/", headers={"accept-language": "de"}).content.decode()
    assert '<a class="skip-link" href="#content">' in page and 'id="content"' in page
    buttons = re.findall(r"<button[^>]*>", page)
    for click in (
        "$dispatch('opencommand')",
        "sidebarDesktopOpen =",
        "sidebarMobileOpen =",
        "openUserLinks =",
    ):
        assert [button for button in buttons if click in button], click
    assert "Strg K" in page and "Ctrl" not in page
    assert re.search(r'<a [^>]*aria-label="[^"]+"[^>]*class="addlink', page)
