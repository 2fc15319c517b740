from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RagConfig(AppConfig):
    name = "rag"
    verbose_name = _("knowledge")

    def ready(self) -> None:
        from rag import checks, granted, letting_go  # noqa: F401  (checks, objects of rights, deleted files)
        from rag.audit import register_models
        from rag.guide import kinds as kinds_of_guide  # noqa: F401  (kinds of work)
        from rag.work import kinds  # noqa: F401

        register_models()
