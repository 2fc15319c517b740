"""The texts that libraries have for people, read from their catalogues, or from their source where they
bring none.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import polib
from django.utils.translation.template import templatize

from config.messages import ROOT

# library → where its texts are; Django's and allauth's bring catalogues
CATALOGUES = {
    "django": [
        "conf",
        "contrib/admin",
        "contrib/auth",
        "contrib/contenttypes",
        "contrib/humanize",
        "contrib/sessions",
    ],
    "allauth": [""],
}
SOURCES = {
    "unfold": [
        "*.py",
        "mixins",
        "templatetags",
        "templates/admin",
        "templates/registration",
        "templates/unfold",
        "contrib/filters",
        "contrib/forms",
    ],
    "auditlog": ["*.py", "templates"],
    "django_tenants": ["*.py", "templates"],
}
# of allauth: what belongs to apps that are installed
WITHIN_REACH = ("account/", "core/", "templates/account/", "templates/allauth/")
CALLS = ("_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy")
IN_A_TEMPLATE = re.compile(r"""(?<!\w)(?:_|n?gettext)\(u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")


def folder_of(library: str) -> Path:
    return Path(find_spec(library).submodule_search_locations[0])


@cache
def read_catalogue(path: Path) -> polib.POFile:
    """Parsed once a run, which takes a third of a second: whoever changes a file reads it anew."""
    return polib.pofile(str(path))


def read_catalogues(library: str, language: str) -> Iterator[polib.POEntry]:
    """What the library's own catalogues say, also those entries that say nothing."""
    for place in CATALOGUES.get(library, []):
        path = folder_of(library) / place / "locale" / language / "LC_MESSAGES" / "django.po"
        for entry in read_catalogue(path):
            where = [file for file, _line in entry.occurrences]
            if library != "allauth" or any(file.startswith(WITHIN_REACH) for file in where):
                yield entry


@cache
def list_texts(library: str) -> frozenset[str]:
    """The English texts that the library can show here."""
    if library in CATALOGUES:
        return frozenset(entry.msgid for entry in read_catalogues(library, "en") if not entry.obsolete)
    root = folder_of(library)
    found: set[str] = set()
    for pattern in SOURCES[library]:
        for place in root.glob(pattern):
            for file in place.rglob("*") if place.is_dir() else [place]:
                found |= set() if _has_stand_in(file) else _read(file)
    return frozenset(found)


def _has_stand_in(file: Path) -> bool:
    """Whether a template of ours goes before this one."""
    _folder, is_template, name = str(file).rpartition("/templates/")
    return bool(is_template) and (ROOT / "templates" / name).is_file()


def _read(file: Path) -> set[str]:
    if file.suffix == ".py":
        return {
            call.args[0].value
            for call in ast.walk(ast.parse(file.read_text()))
            if isinstance(call, ast.Call)
            and getattr(call.func, "id", "") in CALLS
            and call.args
            and isinstance(call.args[0], ast.Constant)
        }
    if file.suffix in (".html", ".txt"):
        return {ast.literal_eval(text) for text in IN_A_TEMPLATE.findall(templatize(file.read_text()))}
    return set()
