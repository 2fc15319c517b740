from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ModelsRegistryConfig(AppConfig):
    name = "models_registry"
    verbose_name = _("models")

    def ready(self) -> None:
        from models_registry import calendar, granted, seeds  # noqa: F401  (duties, objects, an occasion)
        from models_registry.audit import register_models

        register_models()
