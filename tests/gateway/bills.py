"""Books that may refuse to hold more, and two prices."""

from decimal import Decimal

from tests.gateway.calling import OpenBooks
from usage.pricing import Price

CHEAP = Price("EUR", *map(Decimal, ("1", "1", "2", "2")))
DEAR = Price("EUR", *map(Decimal, ("10", "10", "20", "20")))


class Bills(OpenBooks):
    """Refuses to hold more where it is told to."""

    def __init__(self, no: Exception | None = None) -> None:
        super().__init__()
        self.no = no

    async def follow(self, slug, attempt) -> None:
        await super().follow(slug, attempt)
        if self.no:
            raise self.no
