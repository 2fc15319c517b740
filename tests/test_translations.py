"""German and Chinese are complete: every text of the source is in the catalogues, translated, and none is
fuzzy.
"""

import re
import shutil
import subprocess
import sys

import polib
import pytest

from config.messages import LANGUAGES, ROOT, catalogue, find_gaps
from tests.library_texts import read_catalogue
from tests.proof.lint.engine import ROOMS

PLACEHOLDER = re.compile(r"%\(\w+\)[sdif]|%[sd]|\{\w+\}|</?[a-z]+[^>]*>")


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_missing_or_fuzzy(language):
    assert find_gaps(language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_survive_translation(language):
    wrong = []
    for entry in read_catalogue(catalogue(language)):
        texts = entry.msgstr_plural.values() if entry.msgid_plural else [entry.msgstr]
        allowed = {*PLACEHOLDER.findall(entry.msgid), *PLACEHOLDER.findall(entry.msgid_plural)}
        wrong += [entry.msgid for text in texts if not set(PLACEHOLDER.findall(text)) <= allowed]
    assert wrong == []


@pytest.mark.skipif(
    shutil.which("xgettext") is None, reason="GNU gettext is not installed (apt install gettext); CI has it"
)
def test_every_text_of_the_source_is_in_the_catalogues(tmp_path):
    """Collect the texts anew into a copy: whoever adds one and forgets `make messages` is told so here."""
    copy = tmp_path / "atrium"
    folders = ["templates", "static/js", "locale", *(room for room in ROOMS if (ROOT / room).is_dir())]
    for folder in folders:
        unwanted = ["__pycache__", "*.mo", *(["models"] if folder == "runtimes" else [])]
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns(*unwanted))
    shutil.copy(ROOT / "manage.py", copy)
    before = {
        language: {entry.msgid for entry in read_catalogue(catalogue(language))} for language in LANGUAGES
    }
    command = [
        sys.executable,
        "manage.py",
        "makemessages",
        "--no-location",
        "--no-wrap",
        "--no-obsolete",
        *[f"--locale={language}" for language in LANGUAGES],
    ]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    for language in LANGUAGES:
        after = {entry.msgid for entry in polib.pofile(str(copy / catalogue(language).relative_to(ROOT)))}
        assert after - before[language] == set(), "run `make messages` and translate"
