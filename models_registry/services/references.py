"""Names of other models in a model: those that stand in for it, and its successor.

A stand-in's own stand-ins are not asked, so two models may stand in for each other; successors are followed
one after another, so they must end. Embedding models have no stand-ins: their vectors would stand in one
index with others that mean something else.
"""

from collections.abc import Iterable

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from foundation.errors import InvalidInput
from models_registry.kinds import ModelKind
from models_registry.selectors import get_models_by_name
from models_registry.worlds import Model


def check_references(row: Model, changed: Iterable[str]) -> None:
    """Raises InvalidInput, with every name that is wrong. Of what is not `changed`, only that a model does
    not name itself: the models that it names may be gone since, and that hinders no other change.
    """
    changed, named = set(changed), {"fallbacks": row.fallbacks, "successor": [row.successor]}
    if not isinstance(row.fallbacks, list) or not (row.fallbacks or row.successor):
        return  # nothing, or what `full_clean` refuses
    _check_itself(row, named)
    if not changed & {"fallbacks", "successor", "kind"}:
        return
    known = get_models_by_name(row)
    for param, names in named.items():
        if changed & {param, "kind"}:
            _check_others(row, [name for name in names if name], known, param)
    if row.fallbacks and row.kind == ModelKind.EMBEDDING and "fallbacks" in changed:
        raise InvalidInput(
            _("A model for embeddings has no stand-ins: vectors of two models cannot be compared."),
            param="fallbacks",
        )
    if "successor" in changed:
        _check_that_it_ends(row, known)


def _check_itself(row: Model, named: dict[str, list[str]]) -> None:
    own = {row.name, *row.aliases}
    if not own.isdisjoint(named["fallbacks"]):
        raise InvalidInput(_("A model cannot stand in for itself."), param="fallbacks")
    if not own.isdisjoint(named["successor"]):
        raise InvalidInput(_("A model cannot be its own successor."), param="successor")


def _check_others(row: Model, names: list[str], known: dict[str, Model], param: str) -> None:
    if unknown := [str(name)[:120] for name in names if name not in known]:
        text = ngettext("There is no model %(names)s.", "There are no models %(names)s.", len(unknown))
        raise InvalidInput(text % {"names": _quote(unknown)}, param=param)
    if others := [name for name in names if known[name].kind != row.kind]:
        text = ngettext(
            "%(names)s is of another kind than this model (%(kind)s).",
            "%(names)s are of another kind than this model (%(kind)s).",
            len(others),
        )
        raise InvalidInput(text % {"names": _quote(others), "kind": row.get_kind_display()}, param=param)


def _check_that_it_ends(row: Model, known: dict[str, Model]) -> None:
    passed, following = [row.name], known.get(row.successor)
    while following is not None and following.name not in passed:
        passed.append(following.name)
        following = known.get(following.successor)
    if following is row:
        text = _("The successors lead back to this model: %(names)s.")
        raise InvalidInput(text % {"names": " → ".join([*passed, row.name])}, param="successor")


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)
