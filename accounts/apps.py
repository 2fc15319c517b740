from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("accounts")

    def ready(self) -> None:
        from accounts import seeds  # noqa: F401  (connects to tenant_provisioned and demo_requested)
        from accounts.audit import register_models

        register_models()
