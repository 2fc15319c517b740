"""Pages speak the reader's language, to the reader, in our words: see page_words.py for what is looked for.

Covers: every page for people and for strangers, refusals and what forms say, confirmations and forms with
mistakes in both administrations. The administrations' other pages: tests/admin/test_pages.py.
"""

from collections.abc import Iterator

import pytest
from django.http import HttpResponse
from django.urls import reverse

from accounts.forms import ProfileForm
from tests.conftest import HostClient
from tests.estate import make_estate, make_platform_estate
from tests.page_words import CAST, assert_no_wrong_words, find_wrong_words, list_said, names_in
from tests.permissions import PAGES, ROLES, SERVICE, SYSTEM, account_rows
from tests.routes import PLATFORM, TENANT

pytestmark = pytest.mark.django_db
TRANSLATED = ["de", "zh-hans"]
LOGIN = {"login": "bob@acme.example", "password": "wrong"}


@pytest.fixture(autouse=True)
def _fresh(clean_cache):
    """Log-ins are limited per address."""


FOR_DEVELOPERS = {"styleguide"}  # English, and not in production


def wrong_words(response: HttpResponse, language: str, names: set[str]) -> list[str]:
    assert response["Content-Type"].startswith("text/html"), response
    assert response["Content-Language"] == language
    return find_wrong_words(response.content.decode(), language, names)


FILES = {"rag:graph-export"}


def addresses_for(role: str, estate) -> Iterator[str]:
    """The pages that somebody with this role may open."""
    for row in (*PAGES, *account_rows(ROLES)):
        if (
            row.method == "GET"
            and row.expected(ROLES).get(role) == 200
            and row.route not in FOR_DEVELOPERS
            and ("healthz" not in row.route)
            and row.route not in FILES
        ):
            arguments = {row.keyword: getattr(estate, row.object).pk} if row.object else {}
            yield reverse(row.route, urlconf=TENANT, kwargs=arguments)


@pytest.mark.parametrize("language", [*TRANSLATED, "en"])
def test_pages_for_people(acme, alice, language):
    estate = make_estate(alice)
    names = names_in(estate)
    said = {"accept-language": language}
    found = {}
    stranger = HostClient(acme.host, acme.scope, raise_request_exception=False)
    for client, role in ((stranger, "anonymous"), (acme.login_as(alice), "owner")):
        for address in addresses_for(role, estate):
            found[role, address] = wrong_words(client.get(address, headers=said), language, names)
    assert len(found) > 15
    wrong_forms = [
        (stranger, "/accounts/login/", LOGIN),
        (stranger, "/accounts/login/", {}),
        (stranger, "/accounts/password/reset/", {"email": "nobody"}),
        (acme, reverse("accounts:profile", urlconf=TENANT), {"name": "", "language": "42"}),
        (acme, reverse("accounts:apikey-create", urlconf=TENANT), {"calls_at_once": "-1", "expires_on": "1"}),
        (acme, "/accounts/password/change/", {"oldpassword": "x", "password1": "1", "password2": "1"}),
        (acme, "/accounts/reauthenticate/", {"password": "x"}),
    ]
    for client, address, data in wrong_forms:
        response = client.post(address, data, headers=said)
        assert response.status_code in (200, 400), address
        found["form", address, len(data)] = wrong_words(response, language, names)
    for client, address, status in ((stranger, "/nowhere/", 404), (acme, "/nowhere/", 404)):
        response = client.get(address, headers=said)
        assert response.status_code == status
        found["refusal", address, client] = wrong_words(response, language, names)
    assert_no_wrong_words(found)


@pytest.mark.parametrize("language", TRANSLATED)
def test_questions_and_mistakes_in_the_administrations(acme, alice, on_platform, olga, language):
    platform = make_platform_estate(olga)
    estate = make_estate(alice)
    acme.login_as(alice)
    on_platform.login_as(olga)
    said = {"accept-language": language}
    names = names_in(platform) | names_in(estate)
    found = {}
    for client, site, table, urlconf, things in (
        (acme, "service", SERVICE, TENANT, estate),
        (on_platform, "system", SYSTEM, PLATFORM, platform),
    ):
        for name, (item, _view, add, _change, delete, actions) in table.items():
            pk = getattr(things, item).pk
            pages = [*actions, *(["delete"] if delete else [])]
            for page in pages:
                response = client.get(
                    reverse(f"{site}:{name}_{page}", args=[pk], urlconf=urlconf), headers=said
                )
                assert response.status_code == 200, (name, page)
                found[name, page] = wrong_words(response, language, names)
            if add:
                response = client.post(
                    reverse(f"{site}:{name}_add", urlconf=urlconf), {"_save": "1"}, headers=said
                )
                assert response.status_code == 200, name
                found[name, "add"] = wrong_words(response, language, names)
    assert len(found) > 30
    assert_no_wrong_words(found)


def test_a_planted_sentence_is_found(acme, alice, monkeypatch):
    acme.login_as(alice)
    address = reverse("accounts:profile", urlconf=TENANT)

    def read(label: str, language: str) -> list[str]:
        monkeypatch.setattr(ProfileForm.base_fields["name"], "label", label)
        return wrong_words(acme.get(address, headers={"accept-language": language}), language, CAST)

    assert read("Ihr Name", "de") == read("您的姓名", "zh-hans") == read("Your name", "en") == []
    assert "foreign: your" in read("Your name", "de")[0]
    assert "foreign: name, your" in read("Your name", "zh-hans")[0]
    assert "Sie" in read("Dein Name", "de")[0]
    assert "您" in read("你的姓名", "zh-hans")[0]
    assert "sentence case" in read("Given Name", "en")[0]


def test_what_is_marked_is_no_text_of_ours():
    page = (
        '<html lang="de"><p translate="no">Widget <b>Works</b></p><p data-speech>Hi there</p>'
        '<p lang="en">Sign here</p><code>foo bar</code><br><p title="Öffnen">Name<img alt="Bild">'
        '<span class="material-symbols-outlined">arrow</span></p><input type="submit" value="Senden">'
    )
    assert list_said(page) == ["Öffnen", "Name", "Bild", "Senden"]
    assert find_wrong_words(page, "de") == []
    assert (
        find_wrong_words("<p>Widget Works wirklich: foo@bar.example, /v1/chat</p>", "de", {"Widget Works"})
        == []
    )
