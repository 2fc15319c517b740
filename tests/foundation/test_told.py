"""Texts that are kept as msgid and parameters, and read in another language."""

import json

import pytest
from django.utils.translation import gettext_lazy, override, trans_real

from foundation.errors import QuotaExceeded
from foundation.told import gettext, keep, ngettext, read


def say_reached() -> str:
    """A text of two, with texts for parameters."""
    how_much = ngettext("%(amount)s request per minute", "%(amount)s requests per minute", 5) % {"amount": 5}
    reached = gettext("%(whose)s is reached: %(how_much)s.") % {
        "whose": gettext("Your own limit"),
        "how_much": how_much,
    }
    return reached + " " + gettext("Try again in %(seconds)s s.") % {"seconds": 3}


@pytest.mark.parametrize("written", ["de", "en", "zh-hans"])
@pytest.mark.parametrize("reads", ["de", "en", "zh-hans"])
def test_a_text_is_read_in_the_language_of_whoever_asks(written, reads):
    with override(written):
        kept = json.loads(json.dumps(keep(QuotaExceeded(say_reached()).message)))
    with override(reads):
        assert read(kept) == say_reached() and "3" in say_reached()


def test_the_text_itself_is_in_the_language_of_its_maker():
    with override("de"):
        said = say_reached()
    assert said.startswith("Ihre eigene Obergrenze ist erreicht: 5 Anfragen pro Minute. Versuchen Sie es")


def test_a_lazy_text_is_kept_too():
    kept = keep(gettext_lazy("Your budget"))
    with override("de"):
        assert read(kept) == "Ihr Budget"


def test_numbers_stay_numbers_and_other_parameters_are_texts_a_database_keeps():
    msgid = "At most %(limit)d origins can be listed."
    said = gettext(msgid) % {"limit": 7, "beside": "a\0b"}
    assert keep(said) == {"id": msgid, "with": {"limit": 7, "beside": "a\ufffdb"}}
    with override("de"):
        assert read(keep(said)) == "Höchstens 7 Ursprünge können eingetragen werden."


def test_a_plain_text_is_kept_as_it_is():
    with override("de"):
        assert keep("their words") == read("their words") == "their words"
        assert keep(f"{gettext('Your budget')}!") == "Ihr Budget!"


@pytest.mark.parametrize("word", ["Chat", "Budget"])
def test_a_text_may_be_the_same_in_two_languages(word):
    said = gettext("%(whose)s is reached: %(how_much)s.") % {"whose": gettext(word), "how_much": "1"}
    with override("de"):
        assert gettext(word) == word and read(keep(said)) == f"{word} ist erreicht: 1."


def test_a_counted_text_may_be_the_same_in_two_languages(monkeypatch):
    with override("de"):
        known = trans_real.catalog()._catalog._catalogs[0]
        monkeypatch.setitem(known, ("%(n)s Test", 0), "%(n)s Test")
        monkeypatch.setitem(known, ("%(n)s Test", 1), "%(n)s Tests")
        assert read(keep(ngettext("%(n)s Test", "%(n)s Tests", 1) % {"n": 1})) == "1 Test"
        assert read(keep(ngettext("%(n)s Text", "%(n)s Texts", 1) % {"n": 1})) is None


@pytest.mark.parametrize(
    "kept",
    [
        {"id": "No release ever said this."},
        {"id": "Try again in %(seconds)s s.", "with": {}},
        {"id": "At most %(limit)d origins can be listed.", "with": {"limit": "many"}},
        {"of": "another release"},
    ],
)
def test_what_this_release_cannot_say_is_left_to_the_kept_text(kept):
    with override("de"):
        assert read(kept) is None and read(["so: ", kept]) is None
