from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RegistryPlatformConfig(AppConfig):
    name = "models_registry.platform"
    label = "registry_platform"
    verbose_name = _("models of the platform")
