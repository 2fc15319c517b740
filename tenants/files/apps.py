from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FilesConfig(AppConfig):
    name = "tenants.files"
    label = "files"
    verbose_name = _("files")

    def ready(self) -> None:
        from tenants.files import cleaning  # noqa: F401  (it registers a duty)
