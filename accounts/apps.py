from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("accounts")

    def ready(self) -> None:
        # registered functions, a signal, a duty, kinds of work
        from accounts import authentication, browser, seeds, sessions, tasks  # noqa: F401
        from accounts.audit import register_models

        register_models()
