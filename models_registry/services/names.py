"""Names of models are given by one transaction at a time, and what people called those that go is kept."""

from collections.abc import Iterable

from models_registry.worlds import Model, World
from tenants.audit import AT_ONCE
from tenants.turns import take_turns


def lock_names() -> None:
    """Wait until nobody else in this scope gives names to models: who looked for a free name without it finds
    it taken when it is written.
    """
    take_turns("names of models")


def keep_labels(world: World, rows: Iterable[Model]) -> None:
    """Note what people call models whose names go: pages of the past still say it. A later one of the name
    has the last word.
    """
    labels = [world.former_labels(name=row.name, label=row.label) for row in rows if row.label]
    world.former_labels.objects.bulk_create(
        labels, update_conflicts=True, unique_fields=["name"], update_fields=["label"], batch_size=AT_ONCE
    )
