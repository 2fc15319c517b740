"""locale/libraries/ is kept by hand: each of its texts stands in the library still, goes before the
library's own, and none that we would say otherwise, or that the library leaves in English, is missing.
"""

import re

import polib
import pytest
from django.utils import translation

from config.messages import LANGUAGES, LANGUAGES_OF_LIBRARIES, catalogue, library_catalogue
from tests.library_texts import CATALOGUES, SOURCES, list_texts, read_catalogue, read_catalogues
from tests.page_words import list_banned

LIBRARIES = [*CATALOGUES, *SOURCES]
# the first of BANNED: who is addressed as a friend
FRIENDS = {
    "de": r"(?i)\b(du|dir|dich|dein(e|en|em|er|es)?)\b|\b(bitte )?(gib|versuche|wähle|habe|lass) ",
    "zh_Hans": "你",
}
PLACEHOLDER = re.compile(r"%\(\w+\)[sdifr]|%[sd]|\{\w*(?::\w)?\}|</?[a-z]+")


def entries(language: str) -> polib.POFile:
    return read_catalogue(library_catalogue(language))


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_text_stands_in_the_library_still(library):
    there = list_texts(library)
    kept = {
        entry.msgid
        for language in LANGUAGES_OF_LIBRARIES
        for entry in entries(language)
        if (library, "") in entry.occurrences
    }
    assert kept and kept - there == set()


@pytest.mark.parametrize("language", LANGUAGES_OF_LIBRARIES)
def test_each_text_names_its_library_and_keeps_its_placeholders(language):
    for entry in entries(language):
        assert [library for library, _line in entry.occurrences if library in LIBRARIES], entry.msgid
        assert entry.translated() and not entry.fuzzy, entry.msgid
        allowed = set(PLACEHOLDER.findall(entry.msgid))
        for text in entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]:
            assert set(PLACEHOLDER.findall(text)) == allowed, entry.msgid


@pytest.mark.parametrize("language", LANGUAGES_OF_LIBRARIES)
def test_each_text_goes_before_the_librarys_own(language):
    own = {entry.msgid for entry in read_catalogue(catalogue(language))} if language in LANGUAGES else set()
    with translation.override(language.replace("_", "-")):
        for entry in entries(language):
            assert entry.msgid not in own, f"{entry.msgid}: ours goes first"
            if not entry.msgid_plural:
                assert translation.gettext(entry.msgid) == entry.msgstr
            assert list_banned(language, entry.msgstr) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_no_text_of_a_library_is_left_in_english(library, language):
    said = {
        entry.msgid
        for path in (catalogue(language), library_catalogue(language))
        for entry in read_catalogue(path)
    }
    said |= {
        entry.msgid
        for name in CATALOGUES
        for entry in read_catalogues(name, language)
        if entry.translated() or any(entry.msgstr_plural.values())
    }
    assert list_texts(library) - said == set()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("library", CATALOGUES)
def test_no_library_addresses_people_as_friends(library, language):
    ours = {entry.msgid for entry in entries(language)}
    theirs = {
        entry.msgid
        for entry in read_catalogues(library, language)
        if re.search(FRIENDS[language], " ".join([entry.msgstr, *entry.msgstr_plural.values()]))
    }
    assert (theirs & list_texts(library)) - ours == set()
    # what is looked for is there: allauth's German and Django's Chinese are full of it
    assert bool(theirs) == ((library, language) in [("allauth", "de"), ("django", "zh_Hans")])
