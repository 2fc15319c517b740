"""Texts that remember what they are translations of: they are kept as msgid and parameters, and read in the
language of whoever asks later.

Covers: `gettext` and `ngettext`, `%` with named parameters, which may be such texts themselves, and texts put
one after the other with `+`, of which a space between two Chinese sentences takes no part.
Does not cover: f-strings and `join`, which make a plain text; that one is kept as it is.
"""

from collections.abc import Mapping
from functools import reduce
from typing import Any

from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import trans_real

from foundation.spacing import append, fill
from foundation.texts import as_kept

Kept = str | int | float | dict[str, Any] | list[Any]  # as JSON has it


class Own(str):
    """What somebody calls their own things, as a parameter of a told text: `say(…, hides_own=True)` tells
    others the text without it.
    """

    __slots__ = ()


class Told(str):
    """A text in the language of whoever it was made for."""

    __slots__ = ("kept",)
    kept: Kept

    def __new__(cls, text: str, kept: Kept = "") -> "Told":
        told = super().__new__(cls, text)
        told.kept = kept
        return told

    def __mod__(self, values: Any) -> str:
        text = fill(self, values)
        if not isinstance(values, Mapping) or not isinstance(self.kept, dict):
            return text
        return Told(text, self.kept | {"with": {name: keep(value) for name, value in values.items()}})

    def __add__(self, other: str) -> str:
        before = self.kept if isinstance(self.kept, list) else [self.kept]
        return Told(append(self, other), [*before, keep(other)])


def gettext(msgid: str) -> str:
    return Told(translation.gettext(msgid), {"id": msgid})


def ngettext(one: str, many: str, count: int) -> str:
    return Told(translation.ngettext(one, many, count), {"id": one, "many": many, "count": count})


def keep(said: Any) -> Kept:
    """What is kept of a text, or of a parameter of one."""
    if isinstance(said, Promise):
        made_of: Any = said.__reduce__()  # how a lazy text is pickled: of its function and its arguments
        function, arguments = made_of[1][:2]
        said = Told("", {"id": arguments[0]}) if function is translation.gettext else str(said)
    if isinstance(said, Told):
        return said.kept
    if isinstance(said, Own):
        return {"own": as_kept(str(said))}
    return said if isinstance(said, int | float) else as_kept(str(said))


def words_of(said: Any) -> Kept | None:
    """What is kept beside a text to say it anew for another reader; None of one that can only be repeated."""
    kept = keep(said)
    return None if isinstance(kept, str) else kept


def say(words: Kept | None, text: str, *, hides_own: bool = False) -> str:
    """A kept text for whoever reads now; as it was written where it can only be repeated, or, where it says
    what is somebody's own, nothing.
    """
    said = read(words, hides_own=hides_own) if words is not None and text else None
    if said is None:
        return "" if hides_own and _holds_own(words) else text
    return said


def read(kept: Kept, *, hides_own: bool = False) -> str | None:
    """The text in the language of now; None if this release does not know it, or not in this language."""
    try:
        return _read(kept, hides_own=hides_own)
    except (KeyError, TypeError, ValueError):
        return None


def _holds_own(kept: Any) -> bool:
    if isinstance(kept, list):
        return any(map(_holds_own, kept))
    return isinstance(kept, dict) and ("own" in kept or any(map(_holds_own, kept.get("with", {}).values())))


def _read(kept: Any, *, hides_own: bool) -> str:
    if isinstance(kept, list):
        return reduce(append, (_read(part, hides_own=hides_own) for part in kept), "")
    if not isinstance(kept, dict):
        return str(kept)
    if "own" in kept:
        return "…" if hides_own else str(kept["own"])
    msgid = kept["id"]
    is_counted = "many" in kept
    text = (
        translation.ngettext(msgid, kept["many"], kept["count"]) if is_counted else translation.gettext(msgid)
    )
    if text in (msgid, kept.get("many")) and not _is_known(msgid, is_counted=is_counted):
        raise KeyError(msgid)
    values = {
        name: _read(value, hides_own=hides_own) if isinstance(value, dict | list) else value
        for name, value in kept.get("with", {}).items()
    }
    return text % values if "with" in kept else text


def _is_known(msgid: str, *, is_counted: bool) -> bool:
    """Whether the language of now has a text, which may read like its msgid. The catalogue keeps what is
    counted by msgid and number of the form.
    """
    if (translation.get_language() or "en") == "en":
        return True
    catalogue: Any = trans_real.catalog()  # of the language, and not of the one it falls back to
    known = catalogue._catalog
    return (msgid, 0) in known or (not is_counted and msgid in known)
