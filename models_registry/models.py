"""A tenant's own connections, models and prices."""

from models_registry.base import (
    AbstractConnection,
    AbstractFormerLabel,
    AbstractModel,
    AbstractModelEndpoint,
)
from models_registry.base_price import AbstractModelPrice


class Connection(AbstractConnection):
    """A tenant's own way to a provider."""

    class Meta(AbstractConnection.Meta):
        pass


class Model(AbstractModel):
    """A tenant's own model; it hides the platform's of the same name."""

    class Meta(AbstractModel.Meta):
        pass


class ModelEndpoint(AbstractModelEndpoint):
    """A further way to a tenant's model."""

    class Meta(AbstractModelEndpoint.Meta):
        pass


class ModelPrice(AbstractModelPrice):
    """What a tenant books for its own model."""

    class Meta(AbstractModelPrice.Meta):
        pass


class FormerLabel(AbstractFormerLabel):
    """What a tenant called its own."""

    class Meta(AbstractFormerLabel.Meta):
        pass
