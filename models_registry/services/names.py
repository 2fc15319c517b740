"""Names of models are given by one transaction at a time."""

from tenants.turns import take_turns


def lock_names() -> None:
    """Wait until nobody else in this scope gives names to models: who looked for a free name without it finds
    it taken when it is written.
    """
    take_turns("names of models")
