"""What is counted of an endpoint's work (gateway.state.load), and stands in the call that is a part of it."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class EndpointLoad:
    """Of one endpoint under one of its names for models."""

    in_work: int = 0
    # calls that it got more than its weight says, of those that could have gone to it. Begins anywhere, or
    # all processes would begin with the same endpoint.
    lead: float = field(default_factory=lambda: random.random() - 0.5)  # noqa: S311
