"""What the names of other models in a model mean: its stand-ins, its successor."""

from models_registry.selectors.objects import list_seen_models
from models_registry.worlds import Model


def get_models_by_name(row: Model) -> dict[str, Model]:
    """What the active scope can name, aliases too; `row` as it is about to be written."""
    others = [one for one in list_seen_models() if one.pk != row.pk]
    found = {alias: one for one in others for alias in one.aliases} | {one.name: one for one in others}
    return found | dict.fromkeys([*row.aliases, row.name], row)


def list_unasked_stand_ins(row: Model) -> list[tuple[str, list[str]]]:
    """The model's stand-ins that have others of their own, each with those that are not asked."""
    known = get_models_by_name(row)
    asked = {row.pk} | {known[name].pk for name in row.fallbacks if name in known}
    more = {
        name: [one for one in known[name].fallbacks if one in known and known[one].pk not in asked]
        for name in row.fallbacks
        if name in known
    }
    return [(name, others) for name, others in more.items() if others]
