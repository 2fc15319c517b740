"""This room's objects keep a history; secrets and the traces of checks stay out of it."""

from auditlog.registry import auditlog


def register_models() -> None:
    from administration.history import name_objects
    from models_registry import models
    from models_registry.platform import models as platform_models

    for world in (models, platform_models):
        of_checks = ["last_checked_at", "last_error", "last_error_words"]
        auditlog.register(world.Connection, exclude_fields=["secret", *of_checks])
        auditlog.register(
            world.Model,
            exclude_fields=["listed_at", "listed_price", "listed_values"],
            m2m_fields={"plans"} if world is platform_models else set(),
        )
        auditlog.register(world.ModelPrice)
        price = world.ModelPrice
        name_objects(price, price.name_text, from_kept=price.name_kept)
