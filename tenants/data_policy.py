"""Where an organisation, or one of its projects, lets its data go, and whether it may be kept there."""

from functools import lru_cache

from django.db import models
from django.utils.translation import gettext_lazy as _


class DataPolicy(models.TextChoices):
    """It binds the choice of an endpoint and of what stands in for it. What comes after the “+” may be said
    of any place.
    """

    ANYWHERE = "", _("anywhere")
    EU = "eu", _("European Union only")
    LOCAL = "local", _("this installation's own network only")
    UNSTORED = "+unstored", _("anywhere where nothing is stored")
    EU_UNSTORED = "eu+unstored", _("European Union only, where nothing is stored")
    LOCAL_UNSTORED = "local+unstored", _("this installation's own network only, where nothing is stored")


UNSTORED = "+unstored"
PLACES = (DataPolicy.ANYWHERE, DataPolicy.EU, DataPolicy.LOCAL)  # later ones are stricter


def place_of(policy: str) -> str:
    """What a policy says of places alone."""
    return policy.removesuffix(UNSTORED)


def forbids_storage(policy: str) -> bool:
    return policy.endswith(UNSTORED)


@lru_cache(maxsize=256)
def strictest(*policies: str) -> str:
    """What all of these policies allow together."""
    place = max(map(place_of, policies), key=PLACES.index)
    return place + UNSTORED if any(map(forbids_storage, policies)) else place
