"""In which languages a model answers: codes of ISO 639 without script and region, with the names that Django
has for them. Languages that Django does not know cannot be named.
"""

from collections.abc import Iterable

from django.conf.global_settings import LANGUAGES
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext as _

_NAMES = {code: name for code, name in LANGUAGES if "-" not in code}
CODES = tuple(sorted({*_NAMES, "zh"}))


def name_language(code: str) -> str:
    """In the reader's language; an unknown code as it is."""
    if code == "zh":  # Django names its two scripts alone
        return _("Chinese")
    return capfirst(_(_NAMES[code])) if code in _NAMES else code


def name_languages(codes: Iterable[str]) -> list[str]:
    return [name_language(code) for code in codes]


def list_names() -> dict[str, str]:
    """Code → name of all that can be chosen, by name."""
    return dict(sorted(((code, name_language(code)) for code in CODES), key=lambda one: one[1].casefold()))


def validate_languages(value: object) -> None:
    if not isinstance(value, list) or len(set(map(str, value))) < len(value):
        raise ValidationError(_('Languages are a list of codes such as ["en", "de"], each once.'))
    for code in value:
        if code not in CODES:
            raise ValidationError(
                _("“%(code)s” is no language that can be chosen. Write two letters, such as en, de or zh."),
                params={"code": str(code)[:40]},
            )
