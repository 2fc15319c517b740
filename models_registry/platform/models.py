"""The platform's connections, models and prices, for all tenants whose plan they belong to."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from models_registry.base import (
    AbstractConnection,
    AbstractFormerLabel,
    AbstractModel,
    AbstractModelEndpoint,
)
from models_registry.base_price import AbstractModelPrice
from tenants.models import Plan


class Connection(AbstractConnection):
    """The platform's way to a provider."""

    class Meta(AbstractConnection.Meta):
        pass


class Model(AbstractModel):
    """A model that the platform offers."""

    plans = models.ManyToManyField(
        Plan, verbose_name=_("plans"), blank=True, related_name="models", help_text=_("Empty: all plans.")
    )

    class Meta(AbstractModel.Meta):
        pass


class ModelEndpoint(AbstractModelEndpoint):
    """A further way to a model of the platform."""

    class Meta(AbstractModelEndpoint.Meta):
        pass


class ModelPrice(AbstractModelPrice):
    """What tenants pay for a model of the platform."""

    class Meta(AbstractModelPrice.Meta):
        pass


class FormerLabel(AbstractFormerLabel):
    """What the platform called its own."""

    class Meta(AbstractFormerLabel.Meta):
        pass
