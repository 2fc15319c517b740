"""Where an organisation, or one of its projects, lets its data go."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class DataPolicy(models.TextChoices):
    """It binds the choice of an endpoint and of what stands in for it. Later ones are stricter."""

    ANYWHERE = "", _("anywhere")
    EU = "eu", _("European Union only")
    LOCAL = "local", _("this installation's own network only")


def strictest(*policies: str) -> str:
    """What two policies allow together."""
    return max(policies, key=DataPolicy.values.index)
