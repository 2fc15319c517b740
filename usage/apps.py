from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class UsageConfig(AppConfig):
    name = "usage"
    verbose_name = _("usage")

    def ready(self) -> None:
        from usage import limit_use, seeds, sums  # noqa: F401  (a count, occasions and duties)
        from usage.audit import register_models
        from usage.ledger import sweeper  # noqa: F401  (it registers a duty)

        register_models()
