from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PlatformUsageConfig(AppConfig):
    name = "usage.platform"
    label = "usage_platform"
    verbose_name = _("usage of all tenants")
