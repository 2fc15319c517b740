from typing import cast

from django.apps import AppConfig
from django.db.models import Field
from django.utils.translation import gettext_lazy as _

from foundation.collector import pass_over_loaded_objects
from foundation.mime_parameters import refuse_doubtful_parameters
from foundation.spacing import space_translations


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = _("tenants")

    def ready(self) -> None:
        # system checks, duties and kinds of work register themselves
        from tenants import checks  # noqa: F401
        from tenants.database import content_types
        from tenants.provisioning import plans  # noqa: F401
        from tenants.work import tasks  # noqa: F401

        content_types.keep_one_cache_per_schema()
        refuse_doubtful_parameters()
        space_translations()
        from tenants.audit import register_models

        register_models()
        self._name_fields_of_hosts()
        pass_over_loaded_objects()

    def _name_fields_of_hosts(self) -> None:
        """django-tenants gives the fields of a host no names for people. (Those that we give here are in no
        migration, since they mean nothing to the database.)
        """
        opts = self.get_model("Domain")._meta
        for name, label in {"domain": _("host"), "tenant": _("tenant"), "is_primary": _("main host")}.items():
            cast(Field, opts.get_field(name)).verbose_name = label
